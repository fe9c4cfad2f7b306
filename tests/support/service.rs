//! A service that runs beside a test, which waits by looking, within a bound.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Looks again and again until something is there, for at most a minute.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_200 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("waited in vain for {what}");
}

/// A running service with what it has logged so far.
pub struct Service {
    child: Child,
    pub logged: Arc<Mutex<Vec<String>>>,
}

impl Service {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let logged = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&logged), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line)));
        Self { child, logged }
    }

    pub fn lines(&self) -> usize {
        self.logged.lock().unwrap().len()
    }

    /// Waits for a line with all these words, not before the `from`-th; where it is.
    pub fn says(&self, words: &[&str], from: usize) -> usize {
        wait_for(&format!("{words:?} in {:#?}", self.logged.lock().unwrap()), || {
            let logged = self.logged.lock().unwrap();
            logged.iter().enumerate().skip(from).find(|(_, line)| words.iter().all(|word| line.contains(word))).map(|(at, _)| at)
        })
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Ends it in good order; its exit code.
    pub fn stop(mut self) -> i32 {
        self.signal("TERM");
        let mut ended = None;
        for _ in 0..200 {
            ended = self.child.try_wait().unwrap();
            if ended.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        ended.unwrap_or_else(|| panic!("it has not stopped within ten seconds")).code().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Gone already where the test has stopped it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
