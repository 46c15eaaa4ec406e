%%% The limit on repeated log lines.
-module(log_tests).

-include_lib("eunit/include/eunit.hrl").
-import(ejabberd_megaphone_log, [allows/2, end_interval/1]).

the_first_few_of_each_kind_are_written_and_the_others_counted_test() ->
    with_log(fun(Counters) ->
        ?assertEqual(lists:duplicate(5, true) ++ lists:duplicate(95, false), [allows(tls_failed, Counters) || _ <- lists:seq(1, 100)]),
        ?assertEqual(95, suppressed(Counters)),
        ?assert(allows(secret_wrong, Counters)),
        ?assertEqual(95, suppressed(Counters))
    end).

one_line_says_how_many_more_there_were_and_a_new_interval_begins_test() ->
    with_log(fun(Counters) ->
        [allows(tls_failed, Counters) || _ <- lists:seq(1, 100)],
        end_interval(tls_failed),
        ?assertEqual(["95 more connections failed in their TLS handshake"], written()),
        end_interval(tls_failed),
        ?assertEqual([], written()),
        ?assert(allows(tls_failed, Counters))
    end).

an_interval_without_suppressed_lines_ends_silently_test() ->
    with_log(fun(Counters) ->
        [allows(link_closed, Counters) || _ <- lists:seq(1, 5)],
        ejabberd_megaphone_log:end_all(),
        ?assertEqual([], written())
    end).

every_kind_of_line_has_a_text_test() ->
    Kinds = [link_up, link_down, link_cut, link_resumed, link_lost, link_closed, stranger_down, stranger_closed, tls_failed, secret_wrong,
             send_failed, proxy_refused, session_refused, failure],
    with_log(fun(Counters) ->
        [allows(Kind, Counters) || Kind <- Kinds, _ <- lists:seq(1, 6)],
        ejabberd_megaphone_log:end_all(),
        ?assertEqual(length(Kinds), length(written()))
    end).

many_processes_may_ask_at_the_same_time_test() ->
    with_log(fun(Counters) ->
        Asked = [spawn_monitor(fun() -> exit(length([yes || _ <- lists:seq(1, 1000), allows(failure, Counters)])) end)
                 || _ <- lists:seq(1, 20)],
        Allowed = [receive {'DOWN', Monitor, _, _, Count} -> Count end || {_, Monitor} <- Asked],
        ?assertEqual({5, 19995}, {lists:sum(Allowed), suppressed(Counters)})
    end).

%% The registry has ended, and the table with it.
without_the_table_everything_is_written_test() ->
    ?assert(allows(failure, ejabberd_megaphone_counters:new())).

%% Meanwhile, intervals of other tests may end.
the_registry_is_told_when_an_interval_is_over_test_() ->
    {timeout, 60, fun() ->
        with_log(fun(Counters) ->
            true = register(ejabberd_megaphone_registry, self()),
            Begin = erlang:monotonic_time(millisecond),
            try
                [allows(link_closed, Counters) || _ <- lists:seq(1, 100)],
                ?assertEqual(ok, wait_for_end(link_closed, Begin + 30000))
            after
                unregister(ejabberd_megaphone_registry)
            end
        end)
    end}.

wait_for_end(Kind, NotBefore) ->
    receive
        {log_interval_ends, Ended} ->
            case Ended =:= Kind andalso erlang:monotonic_time(millisecond) >= NotBefore of
                true -> ok;
                false -> wait_for_end(Kind, NotBefore)
            end
    after 50000 -> never
    end.

suppressed(Counters) -> proplists:get_value(log_suppressed, ejabberd_megaphone_counters:all(Counters)).

%% Calls `Test' while there is a table, and what is logged is sent to this process.
with_log(Test) ->
    ok = ejabberd_megaphone_log:new(),
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, info),
    ok = logger:add_handler(?MODULE, line_handler, #{config => self()}),
    try Test(ejabberd_megaphone_counters:new())
    after
        ok = logger:remove_handler(?MODULE),
        ok = logger:set_primary_config(level, Level),
        ets:delete(ejabberd_megaphone_log)
    end.

written() ->
    receive {line, Line} -> [Line | written()] after 0 -> [] end.
