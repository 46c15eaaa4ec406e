%%% What is acknowledged on a link that can be resumed, when, and what each end may leave unacknowledged (section 7 of the link protocol).
-module(acknowledgement_tests).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(test_link, [begin_session/2, counted/2, wait_until/1, packet/2, send/2]).
-import(resuming_link, [with_ecm/1, ping/0, ack_of/1, unacknowledged/1, fill_queue/1, read_until/2, read_until_seen/2]).

-define(ECM_WINDOW, 65536).

what_is_received_is_acknowledged_after_a_second_test() ->
    with_ecm(fun(Ecm0, Link) ->
        begin_session(Link, 1),
        {Time, _} = timer:tc(fun() -> read_until(fun resuming_link:is_acknowledged/1, resuming_ecm:send(1, <<"in">>, Ecm0)) end),
        ?assert(Time > 900000)
    end).

an_eighth_of_the_window_is_acknowledged_at_once_test() ->
    with_ecm(fun(Ecm0, Link) ->
        begin_session(Link, 1),
        Ecm1 = resuming_ecm:read(100, resuming_ecm:send(1, <<0:((?ECM_WINDOW div 8 - 33) * 8)>>, Ecm0)),
        ?assertEqual(?ECM_WINDOW div 8 - 1, resuming_ecm:unacknowledged(Ecm1)),
        {Time, _} = timer:tc(fun() -> read_until(fun resuming_link:is_acknowledged/1, resuming_ecm:send(1, <<>>, Ecm1)) end),
        ?assert(Time < 700000)
    end).

acks_pings_and_pongs_alone_call_for_no_acknowledgement_test() ->
    with_ecm(fun(Ecm0, Link) ->
        Ecm1 = resuming_ecm:control("{\"op\":\"pong\",\"token\":1}", resuming_ecm:control("{\"op\":\"ping\",\"token\":1}", Ecm0)),
        Ecm2 = resuming_ecm:read(1300, resuming_ecm:ack(resuming_ecm:read(100, Ecm1))),
        ?assert(resuming_ecm:unacknowledged(Ecm2) > 0),
        %% But they are acknowledged with what does.
        begin_session(Link, 1),
        _ = read_until(fun resuming_link:is_acknowledged/1, resuming_ecm:send(1, <<"in">>, Ecm2))
    end).

an_acknowledgement_of_what_was_not_sent_is_a_protocol_error_test() ->
    with_ecm(fun(Ecm, Link) ->
        send(resuming_ecm:socket(Ecm), ack_of(1)),
        wait_until(fun() -> counted(protocol_errors, Link) =:= 1 end)
    end).

an_acknowledgement_below_what_is_known_is_ignored_test() ->
    with_ecm(fun(Ecm0, Link) ->
        begin_session(Link, 1),
        ok = ejabberd_megaphone_sender:send(Link, 1, <<"12345678">>),
        Ecm = read_until_seen([<<"12345678">>], Ecm0),
        send(resuming_ecm:socket(Ecm), ack_of(40)),
        wait_until(fun() -> unacknowledged(Link) =:= 0 end),
        send(resuming_ecm:socket(Ecm), [ack_of(0), ack_of(39), ping()]),
        _ = read_until(fun(Now) -> resuming_ecm:seen(0, Now) =/= [] end, Ecm),
        ?assertEqual(0, counted(protocol_errors, Link))
    end).

more_than_the_window_of_the_ecm_while_nothing_can_be_handled_is_a_protocol_error_test() ->
    with_ecm(fun(Ecm, Link) ->
        begin_session(Link, 1),
        fill_queue(Link),
        Flood = [packet(1, <<0:(1000 * 8)>>) || _ <- lists:seq(1, (?ECM_WINDOW * 2 + 65536) div 1032)],
        _ = gen_tcp:send(resuming_ecm:socket(Ecm), Flood),
        wait_until(fun() -> counted(protocol_errors, Link) =:= 1 end)
    end).

%% Answers that are not accepted must not pile up.
pings_whose_answers_are_not_acknowledged_are_limited_by_the_window_test() ->
    with_ecm(fun(Ecm, Link) ->
        Socket = resuming_ecm:socket(Ecm),
        spawn_link(fun() -> read_on(Socket) end),
        Ping = packet(0, ["{\"op\":\"ping\",\"token\":\"", binary:copy(<<"x">>, 4000), "\"}"]),
        _ = [gen_tcp:send(Socket, lists:duplicate(100, Ping)) || _ <- lists:seq(1, 40)],
        wait_until(fun() -> counted(protocol_errors, Link) =:= 1 end)
    end).

read_on(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, _} -> read_on(Socket);
        {error, _} -> ok
    end.
