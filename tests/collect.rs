//! Runs the cases of `postgres/collect.rs` on the server that PGSTEWARD_TEST_DSN names (a superuser, keyword form).

#[path = "postgres/collect.rs"]
mod collect;

macro_rules! on_a_server {
    ($($case:ident),* $(,)?) => {$(
        #[tokio::test]
        #[ignore = "needs a server"]
        async fn $case() {
            #[expect(clippy::disallowed_methods, reason = "the server is named from outside")]
            let dsn = std::env::var("PGSTEWARD_TEST_DSN").expect("PGSTEWARD_TEST_DSN names a server");
            collect::$case(&dsn).await;
        }
    )*};
}

on_a_server!(
    reads_the_server_and_each_database,
    one_failure_never_harms_the_others,
    a_locked_relation_costs_its_own_database_only,
    an_extension_is_found_wherever_it_lives,
    what_is_not_due_is_carried,
    refusals_are_told_apart,
    a_connection_lost_in_mid_sweep_keeps_what_was_read,
    limits_hold_and_are_said,
    the_probe_knows_server_role_and_databases,
);
