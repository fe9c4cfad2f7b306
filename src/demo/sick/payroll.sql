-- Sorts all salaries by department, twice over, which 1 MB of work_mem cannot hold.
SELECT department,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY salary) AS median,
       count(DISTINCT badge) AS badges,
       max(rank) AS people
FROM (SELECT *, rank() OVER (PARTITION BY department ORDER BY salary DESC, name) AS rank FROM employees) AS ranked
GROUP BY department
ORDER BY department
