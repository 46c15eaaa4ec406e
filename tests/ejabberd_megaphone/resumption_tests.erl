%%% Links that are resumed, and those that end instead (section 7 of the link protocol). cut_wire_tests has the whole of it against a model.
-module(resumption_tests).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(test_link, [with_listener/2, with_link/1, begin_session/2, content_for/1, closed/1, closed_within/1, counted/2, wait_until/1,
                    packet/2, send/2, recv/3, control/1]).
-import(resuming_link, [with_ecm/1, with_ecm/2, connection/0, hello_with/2, cut/2, ping/0,
                        unacknowledged/1, read_until/2, read_until_seen/2]).

-define(ECM_WINDOW, 65536).

%%% Agreeing

the_welcome_offers_what_the_hello_asks_for_test() ->
    with_ecm(fun(Ecm, Link) ->
        #{<<"resume">> := Resume} = resuming_ecm:welcome(Ecm),
        ?assertMatch(#{<<"timeout">> := 90, <<"window">> := 2097152}, Resume),
        #{<<"token">> := Token} = Resume,
        ?assertEqual(32, byte_size(Token)),
        ?assertNot(maps:is_key(<<"received">>, Resume)),
        ?assertMatch(#link{identity = {none, <<"edge">>, <<"i">>, 0}, window = ?ECM_WINDOW}, Link)
    end).

each_link_has_a_token_of_its_own_test() ->
    with_listener(#options{}, fun(Connect, _) ->
        Tokens = [begin
                      Ecm = resuming_ecm:connect(resuming_ecm:new(Connect, ?ECM_WINDOW)),
                      #{<<"resume">> := #{<<"token">> := Token}} = resuming_ecm:welcome(Ecm),
                      Token
                  end || _ <- lists:seq(1, 3)],
        ?assertEqual(3, length(lists:usort(Tokens)))
    end).

a_link_is_not_resumable_unless_both_ends_want_it_test_() ->
    [{Name, fun() ->
        with_listener(Options, fun(Connect, _Counters) ->
            Socket = Connect(),
            send(Socket, packet(0, ["{\"op\":\"hello\",\"version\":1", Resume, "}"])),
            ?assertNot(maps:is_key(<<"resume">>, control(Socket))),
            [Link] = ets:tab2list(?LINKS),
            C2S = begin_session(Link, 1),
            gen_tcp:close(Socket),
            ?assertEqual([C2S], closed(1))
        end)
     end} || {Name, Options, Resume} <-
                 [{"the listener does not", #options{resume_timeout = 0}, ",\"resume\":{\"instance\":\"i\",\"slot\":0,\"window\":65536}"},
                  {"the ECM does not", #options{}, ""},
                  {"the ECM does not say which link it is", #options{}, ",\"resume\":{\"instance\":\"i\",\"window\":65536}"},
                  {"the ECM's window is too large", #options{}, ",\"resume\":{\"instance\":\"i\",\"slot\":0,\"window\":1073741825}"}]].

an_ack_without_resumption_is_ignored_test() ->
    with_link(fun(Socket, Link) ->
        send(Socket, [packet(0, "{\"op\":\"ack\",\"received\":\"99\"}"), packet(0, "{\"op\":\"close\"}"), ping()]),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Socket)),
        ?assertEqual(2, counted(control_ignored, Link))
    end).

%%% Taking up

a_link_that_comes_back_goes_on_behind_what_each_end_has_received_test() ->
    with_ecm(fun(Ecm0, Link) ->
        C2S = begin_session(Link, 1),
        Ecm1 = resuming_ecm:send(1, <<"in">>, Ecm0),
        ?assertEqual(<<"in">>, content_for(1)),
        ok = ejabberd_megaphone_sender:send(Link, 1, <<"out">>),
        Ecm2 = read_until_seen([<<"out">>], Ecm1),
        Cut = resuming_ecm:send(1, <<"in while cut">>, cut(Ecm2, Link)),
        ok = ejabberd_megaphone_sender:send(Link, 1, <<"out while cut">>),
        Back = resuming_ecm:connect(Cut),
        ?assertMatch(#{<<"resume">> := #{<<"received">> := _}}, resuming_ecm:welcome(Back)),
        ?assertEqual(<<"in while cut">>, content_for(1)),
        _ = read_until_seen([<<"out">>, <<"out while cut">>], Back),
        ?assertEqual([], closed_within(0)),
        ?assert(is_process_alive(C2S)),
        ?assertEqual({1, 1, 0}, {counted(links_cut, Link), counted(links_resumed, Link), counted(links_lost, Link)})
    end).

%% A link may carry very many sessions, and one that wakes needs several times the memory.
nobody_is_woken_by_a_cut_or_a_resumption_test() ->
    with_ecm(fun(Ecm, Link) ->
        C2S = begin_session(Link, 1),
        wait_until(fun() -> process_info(C2S, status) =:= {status, waiting} end),
        Before = process_info(C2S, reductions),
        _ = resuming_ecm:connect(cut(Ecm, Link)),
        ?assertEqual(Before, process_info(C2S, reductions))
    end).

a_link_whose_old_connection_still_stands_is_taken_up_test() ->
    with_ecm(fun(Ecm, Link) ->
        begin_session(Link, 1),
        Old = resuming_ecm:socket(Ecm),
        Back = resuming_ecm:connect(resuming_ecm:send(1, <<"again">>, resuming_ecm:leave(Ecm))),
        ?assertMatch({error, _}, gen_tcp:recv(Old, 0, 1000)),
        ?assertEqual(<<"again">>, content_for(1)),
        wait_until(fun() -> [IsCut || #link{is_cut = IsCut} <- ets:tab2list(?LINKS)] =:= [false] end),
        ?assertMatch(#{<<"resume">> := #{<<"received">> := <<"0">>}}, resuming_ecm:welcome(Back))
    end).

a_lost_welcome_does_no_harm_test() ->
    with_ecm(fun(Ecm, Link) ->
        begin_session(Link, 1),
        Cut = cut(Ecm, Link),
        %% It connects, asks, and does not hear the answer.
        _ = [gen_tcp:send(connection(), resuming_ecm:hello(#{}, Cut)) || _ <- [1, 2]],
        Back = resuming_ecm:connect(resuming_ecm:send(1, <<"at last">>, Cut)),
        ?assertEqual(<<"at last">>, content_for(1)),
        ok = ejabberd_megaphone_sender:send(Link, 1, <<"out">>),
        _ = read_until_seen([<<"out">>], Back)
    end).

a_wrong_token_gets_a_new_link_and_ends_the_old_test() ->
    with_ecm(fun(Ecm, Link) ->
        C2S = begin_session(Link, 1),
        Wrong = resuming_ecm:with_token(<<"0123456789ABCDEF0123456789ABCDEF">>, cut(Ecm, Link)),
        ?assertMatch(#{<<"resume">> := #{<<"token">> := _}}, resuming_ecm:welcome(resuming_ecm:connect(Wrong))),
        ?assertEqual([C2S], closed(1)),
        ?assertEqual(1, counted(links_lost, Link))
    end).

a_hello_without_a_token_ends_the_link_in_its_slot_test() ->
    with_ecm(fun(Ecm, Link) ->
        C2S = begin_session(Link, 1),
        _ = resuming_ecm:connect(resuming_ecm:with_token(none, resuming_ecm:leave(Ecm))),
        ?assertEqual([C2S], closed(1))
    end).

other_slots_of_the_same_process_are_left_alone_test() ->
    with_ecm(fun(Ecm, Link) ->
        begin_session(Link, 1),
        _ = hello_with(#{slot => 1}, Ecm),
        _ = resuming_ecm:connect(resuming_ecm:send(1, <<"in">>, cut(Ecm, Link))),
        ?assertEqual(<<"in">>, content_for(1)),
        ?assertEqual([], closed_within(50))
    end).

another_process_of_the_same_name_ends_what_waits_for_the_old_one_test() ->
    with_ecm(fun(Ecm, Link) ->
        C2S = begin_session(Link, 1),
        Cut = cut(Ecm, Link),
        _ = hello_with(#{instance => <<"new">>}, resuming_ecm:with_token(none, Cut)),
        ?assertEqual([C2S], closed(1)),
        %% It has the link no more.
        ?assertNot(maps:is_key(<<"received">>, maps:get(<<"resume">>, resuming_ecm:welcome(resuming_ecm:connect(Cut)))))
    end).

a_link_of_the_old_process_that_is_up_is_not_resumed_later_test() ->
    with_ecm(fun(Ecm, Link) ->
        C2S = begin_session(Link, 1),
        _ = hello_with(#{instance => <<"new">>}, resuming_ecm:with_token(none, Ecm)),
        ?assertEqual([], closed_within(50)),
        _ = resuming_ecm:drop(Ecm),
        ?assertEqual([C2S], closed(1))
    end).

a_hello_that_contradicts_what_was_sent_is_a_protocol_error_test_() ->
    [{Received, fun() ->
        with_ecm(fun(Ecm0, Link) ->
            C2S = begin_session(Link, 1),
            ok = ejabberd_megaphone_sender:send(Link, 1, <<"12345678">>),
            ok = ejabberd_megaphone_sender:send(Link, 1, <<"12345678">>),
            Ecm = read_until_seen([<<"12345678">>, <<"12345678">>], Ecm0),
            Socket = connection(),
            send(Socket, resuming_ecm:hello(#{received => Received}, cut(Ecm, Link))),
            ?assertMatch({error, _}, recv(Socket, 1, 5000)),
            ?assertEqual([C2S], closed(1)),
            ?assertEqual(1, counted(protocol_errors, Link))
        end)
     end} || Received <- [<<"41">>, <<"81">>, <<"9223372036854775807">>]].

%% In one connection the ECM acknowledged more.
a_hello_that_asks_for_what_was_acknowledged_is_a_protocol_error_test() ->
    with_ecm(fun(Ecm0, Link) ->
        begin_session(Link, 1),
        ok = ejabberd_megaphone_sender:send(Link, 1, <<"12345678">>),
        Ecm = resuming_ecm:ack(read_until_seen([<<"12345678">>], Ecm0)),
        wait_until(fun() -> unacknowledged(Link) =:= 0 end),
        Socket = connection(),
        send(Socket, resuming_ecm:hello(#{received => <<"0">>}, cut(Ecm, Link))),
        ?assertMatch({error, _}, recv(Socket, 1, 5000))
    end).

%%% What is a cut, and what an end

a_link_that_does_not_come_back_in_time_closes_its_sessions_paced_test() ->
    with_ecm(#options{resume_timeout = 300}, fun(Ecm, Link) ->
        C2S = [begin_session(Link, Id) || Id <- lists:seq(1, 300)],
        _ = cut(Ecm, Link),
        ?assertEqual([], closed_within(100)),
        First = closed(100) ++ closed_within(500),
        ?assert(length(First) < 110),
        lists:foreach(fun(Pid) -> exit(Pid, kill) end, First),
        Second = closed(100),
        lists:foreach(fun(Pid) -> exit(Pid, kill) end, Second),
        ?assertEqual(lists:sort(C2S), lists:sort(First ++ Second ++ closed(300 - length(First) - 100))),
        ?assertEqual(1, counted(links_lost, Link))
    end).

a_link_that_its_ecm_closes_is_acknowledged_at_once_and_not_waited_for_test() ->
    with_ecm(fun(Ecm0, Link) ->
        C2S = begin_session(Link, 1),
        Ecm1 = resuming_ecm:control("{\"op\":\"close\",\"reason\":\"bye\"}", Ecm0),
        Ecm2 = read_until(fun resuming_link:is_acknowledged/1, Ecm1),
        _ = resuming_ecm:drop(Ecm2),
        ?assertEqual([C2S], closed(1)),
        ?assertEqual(0, counted(links_cut, Link))
    end).

a_link_that_is_closed_for_good_says_so_last_and_waits_for_the_acknowledgement_test() ->
    with_ecm(fun(Ecm0, Link) ->
        C2S = begin_session(Link, 1),
        ejabberd_megaphone_link:listener_stopped(Link#link.owner, true),
        ?assertEqual([C2S], closed(1)),
        ok = ejabberd_megaphone_sender:send(Link, 1, <<"the last">>),
        exit(C2S, kill),
        IsClose = fun(Now) -> lists:any(fun(Json) -> re:run(Json, "close") =/= nomatch end, resuming_ecm:seen(0, Now)) end,
        Ecm1 = read_until(IsClose, Ecm0),
        ?assertEqual([<<"the last">>, <<>>], resuming_ecm:seen(1, Ecm1)),
        ?assertMatch(#{<<"op">> := <<"close">>, <<"reason">> := _}, ejabberd_megaphone_json:decode(lists:last(resuming_ecm:seen(0, Ecm1)))),
        ?assertEqual(none, resuming_ecm:socket(resuming_ecm:read(5000, resuming_ecm:ack(Ecm1))))
    end).

it_does_not_wait_for_ever_test() ->
    with_ecm(fun(Ecm, Link) ->
        ejabberd_megaphone_link:listener_stopped(Link#link.owner, true),
        {Time, Closed} = timer:tc(fun() -> resuming_ecm:read(5000, Ecm) end),
        ?assertEqual(none, resuming_ecm:socket(Closed)),
        ?assert(Time > 900000)
    end).

%% Another may be started in its place.
a_link_whose_listener_has_stopped_waits_for_another_test() ->
    with_ecm(fun(Ecm, Link) ->
        begin_session(Link, 1),
        ejabberd_megaphone_link:listener_stopped(Link#link.owner, false),
        Cut = resuming_ecm:read(5000, Ecm),
        ?assertEqual(none, resuming_ecm:socket(Cut)),
        _ = resuming_ecm:connect(resuming_ecm:send(1, <<"in">>, Cut)),
        ?assertEqual(<<"in">>, content_for(1)),
        ?assertEqual([], closed_within(0))
    end).

a_violation_of_the_protocol_is_no_cut_test() ->
    with_ecm(fun(Ecm0, Link) ->
        C2S = begin_session(Link, 1),
        send(resuming_ecm:socket(Ecm0), <<"no packet">>),
        Ecm = resuming_ecm:read(3000, Ecm0),
        ?assertMatch([#{<<"op">> := <<"close">>}], [ejabberd_megaphone_json:decode(Json) || Json <- resuming_ecm:seen(0, Ecm)]),
        ?assertEqual([C2S], closed(1))
    end).

%% After one `keep_alive', where a link that cannot be resumed takes three.
silence_behind_a_ping_is_a_cut_test() ->
    with_ecm(#options{keep_alive = 1000}, fun(Ecm0, Link) ->
        begin_session(Link, 1),
        Socket = resuming_ecm:socket(Ecm0),
        {Time, ok} = timer:tc(fun() -> wait_until(fun() -> counted(links_cut, Link) =:= 1 end) end),
        ?assert(Time < 2900000),
        {ok, Pings} = gen_tcp:recv(Socket, 0, 1000),
        ?assertMatch({match, _}, re:run(Pings, "ping")),
        _ = resuming_ecm:connect(resuming_ecm:send(1, <<"in">>, resuming_ecm:leave(Ecm0))),
        ?assertEqual(<<"in">>, content_for(1))
    end).
