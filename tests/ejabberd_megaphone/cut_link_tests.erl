%%% A link while it is cut (section 7 of the link protocol); a cut over TLS; and what is in the log about it.
-module(cut_link_tests).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(test_link, [with_listener/2, begin_session/2, content_for/1, closed/1, buffered/1, counted/2, wait_until/1,
                    packet/2, send/2, control/1, received/1]).
-import(resuming_link, [with_ecm/1, with_ecm/2, cut/2, fill_queue/1, read_until/2, read_until_seen/2, read_acknowledging_until/2]).

%%% While it is cut

sending_on_a_cut_link_blocks_nobody_and_is_limited_for_each_client_test() ->
    with_ecm(#options{buffer_total = 1 bsl 30}, fun(Ecm, Link) ->
        C2S = [begin_session(Link, Id) || Id <- lists:seq(1, 10)],
        Cut = cut(Ecm, Link),
        {Time, _} = timer:tc(fun() ->
            [ok = ejabberd_megaphone_sender:send(Link, Id, <<Nth, 0:(100000 * 8)>>) || Id <- lists:seq(1, 10), Nth <- lists:seq(1, 10)]
        end),
        ?assert(Time < 10000000),
        wait_until(fun() -> buffered(Link) > 9000000 end),
        %% The eleventh is too much for that one.
        ok = ejabberd_megaphone_sender:send(Link, 10, <<11, 0:(100000 * 8)>>),
        ?assertEqual([lists:last(C2S)], closed(1)),
        IsThere = fun(Now) -> lists:all(fun(Id) -> length(resuming_ecm:seen(Id, Now)) =:= 10 end, lists:seq(1, 9)) end,
        Back = read_acknowledging_until(IsThere, resuming_ecm:connect(Cut)),
        [?assertEqual(lists:seq(1, 10), [Nth || <<Nth, _/binary>> <- resuming_ecm:seen(Id, Back)]) || Id <- lists:seq(1, 9)],
        ?assertMatch([#{<<"op">> := <<"reset">>, <<"id">> := <<"10">>, <<"reason">> := <<"buffer_limit">>}],
                     [ejabberd_megaphone_json:decode(Json) || Json <- resuming_ecm:seen(0, Back)]),
        ?assertEqual(0, buffered(Link)),
        ?assertEqual(0, atomics:get(Link#link.queued, 1))
    end).

all_sessions_of_a_cut_link_together_are_limited_by_buffer_total_test() ->
    with_ecm(fun(Ecm, Link) ->
        [begin_session(Link, Id) || Id <- [1, 2]],
        _ = cut(Ecm, Link),
        ok = ejabberd_megaphone_sender:send(Link, 1, <<0:(200000 * 8)>>),
        wait_until(fun() -> buffered(Link) =:= 200032 end),
        ok = ejabberd_megaphone_sender:send(Link, 2, <<0:(200000 * 8)>>),
        ?assertEqual(1, length(closed(1))),
        ?assertEqual({1, 1}, {counted(resets, Link), counted(resets_buffer_total, Link)})
    end).

who_waits_for_room_when_the_link_is_cut_goes_on_test() ->
    with_ecm(#options{buffer_total = 1 bsl 30}, fun(Ecm, Link) ->
        begin_session(Link, 1),
        fill_queue(Link),
        Test = self(),
        spawn(fun() -> Test ! {sent, ejabberd_megaphone_sender:send(Link, 1, <<"waits">>)} end),
        ?assertEqual(nothing, receive {sent, _} -> sent after 200 -> nothing end),
        _ = cut(Ecm, Link),
        ?assertEqual(ok, receive {sent, Result} -> Result after 50000 -> nothing end)
    end).

%% A network that drops everything is found out later than a session may wait.
nobody_waits_long_for_an_ecm_that_acknowledges_nothing_test_() ->
    {timeout, 30, fun() ->
        with_ecm(#options{buffer_total = 1 bsl 30}, fun(Ecm, Link) ->
            begin_session(Link, 1),
            fill_queue(Link),
            Test = self(),
            spawn(fun() -> Test ! {sent, timer:tc(fun() -> ejabberd_megaphone_sender:send(Link, 1, <<"waits">>) end)} end),
            Read = read_until(fun(_) -> receive {sent, {Time, ok}} -> put(time, Time), true after 0 -> false end end, Ecm),
            ?assert(get(time) > 1000000 andalso get(time) < 12000000),
            %% And nothing of it is lost.
            IsThere = fun(Now) -> lists:member(<<"waits">>, resuming_ecm:seen(1, Now)) end,
            ?assertEqual(101, length(resuming_ecm:seen(1, read_acknowledging_until(IsThere, Read))))
        end)
    end}.

output_for_a_paused_client_stays_paused_through_a_cut_test() ->
    with_ecm(fun(Ecm0, Link) ->
        begin_session(Link, 1),
        Ecm1 = resuming_ecm:read(100, resuming_ecm:control("{\"op\":\"pause\",\"id\":\"1\"}", Ecm0)),
        ok = ejabberd_megaphone_sender:send(Link, 1, <<"before">>),
        Cut = cut(Ecm1, Link),
        ok = ejabberd_megaphone_sender:send(Link, 1, <<"while cut">>),
        Back = resuming_ecm:read(100, resuming_ecm:connect(Cut)),
        ?assertEqual([], resuming_ecm:seen(1, Back)),
        _ = read_until_seen([<<"before">>, <<"while cut">>], resuming_ecm:control("{\"op\":\"resume\",\"id\":\"1\"}", Back))
    end).

%%% TLS

a_link_over_tls_is_cut_and_resumed_test() ->
    {ok, _} = application:ensure_all_started(ssl),
    test_certificates:with(fun(#{folder := Folder, ecm := Options}) ->
        Settings = #{certfile => test_certificates:file(Folder, server), cafile => test_certificates:file(Folder, ecms)},
        with_listener(#options{tls = Settings, buffer_total = 1 bsl 30}, fun(Connect, _Counters) ->
            Tls = fun() -> {ok, Socket} = ssl:connect(Connect(), Options, 2000), {ssl, Socket} end,
            First = Tls(),
            Ecm = resuming_ecm:new(Tls, 1 bsl 20),
            send(First, resuming_ecm:hello(#{}, Ecm)),
            #{<<"resume">> := #{<<"token">> := Token}} = control(First),
            [Link] = ets:tab2list(?LINKS),
            [begin_session(Link, Id) || Id <- [1, 2]],
            %% So much that the sender waits in the middle of a write.
            Writer = spawn(fun() -> [ejabberd_megaphone_sender:send(Link, 2, <<0:(100000 * 8)>>) || _ <- lists:seq(1, 100)] end),
            wait_until(fun() -> atomics:get(Link#link.queued, 2) > 1000000 end),
            Second = Tls(),
            send(Second, [resuming_ecm:hello(#{token => Token, received => <<"0">>}, Ecm), packet(1, <<"in">>)]),
            ?assertMatch(#{<<"resume">> := #{<<"token">> := Token, <<"received">> := <<"0">>}}, control(Second)),
            ?assertEqual({2, <<0:(100000 * 8)>>}, received(Second)),
            ?assertEqual(<<"in">>, content_for(1)),
            exit(Writer, kill)
        end)
    end).

%%% The log

a_cut_and_its_end_are_a_line_each_without_the_token_test() ->
    with_lines(fun(Ecm, Link) ->
        ok = ejabberd_megaphone_sender:send(Link, 1, <<"12345678">>),
        Back = resuming_ecm:connect(cut(Ecm, Link)),
        #{<<"resume">> := #{<<"token">> := Token}} = resuming_ecm:welcome(Back),
        [Cut, End] = Lines = [line(), line()],
        ?assertEqual(none, receive {line, _} -> another after 0 -> none end),
        ?assertMatch({match, _}, re:run(Cut, "is cut: [^.]+\\. Its 1 sessions wait for it for at most 90 s; 40 bytes are not")),
        ?assertMatch({match, _}, re:run(End, "is resumed after [0-9.]+ s with 1 sessions; 40 bytes are sent again")),
        [?assertEqual(nomatch, re:run(Line, Token)) || Line <- Lines]
    end).

%% It has heard all that it wants to hear, and need not wait for acknowledgements.
an_ecm_that_ends_its_link_and_is_gone_is_no_warning_test() ->
    with_lines(fun(_Ecm, #link{owner = Owner, receiver = Receiver} = Link) ->
        {links, Links} = process_info(Receiver, links),
        [Port] = [Port || Port <- Links, is_port(Port)],
        ejabberd_megaphone_link:closed_by_ecm(Link, <<"done">>),
        ejabberd_megaphone_link:send_failed(Owner, Port, closed),
        ?assertMatch({match, _}, re:run(line(), "is closed by its ECM: done")),
        ?assertMatch({match, _}, re:run(line(), "is down: nothing more can be sent: closed")),
        ?assertMatch({match, _}, re:run(line(), "Closing the 1 sessions of link "))
    end).

%% With a session, and what is logged from then on.
with_lines(Fun) ->
    ok = ejabberd_megaphone_log:new(),
    with_ecm(fun(Ecm, Link) ->
        begin_session(Link, 1),
        #{level := Level} = logger:get_primary_config(),
        ok = logger:set_primary_config(level, info),
        ok = logger:add_handler(?MODULE, line_handler, #{config => self()}),
        try
            Fun(Ecm, Link)
        after
            logger:remove_handler(?MODULE),
            ok = logger:set_primary_config(level, Level),
            ets:delete(ejabberd_megaphone_log)
        end
    end).

line() -> receive {line, Line} -> Line after 50000 -> error(no_line) end.
