%%% The processes of a link: limits on what is buffered, closing of sessions, and the ends of the link and its connections.
-module(link_tests).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(test_link, [with_link/1, with_listener/2, with_tls_link/1, begin_session/2, content_for/1, closed/1, closed_within/1, buffered/1,
                    counted/2, wait_until/1, packet/2, op/2, send/2, hello/0, control/1, received/1]).

%% Of the listener in test_link.
-define(BUFFER_TOTAL, 300000).
%% Members of a hello whose link can be resumed.
-define(RESUME, [",\"resume\":{\"instance\":\"i\",\"slot\":0,\"window\":65536}"]).

%%% What is buffered

all_sessions_together_buffer_at_most_buffer_total_test() ->
    with_link(fun(Socket, Link) ->
        [begin_session(Link, Id) || Id <- [1, 2]],
        send(Socket, [packet(1, <<1:(100000 * 8)>>), packet(1, <<2:(100000 * 8)>>)]),
        wait_until(fun() -> buffered(Link) =:= 200064 end),
        %% Session 2 would exceed it.
        send(Socket, [packet(2, <<3:(90000 * 8)>>), packet(2, <<4:(90000 * 8)>>)]),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"2">>, <<"reason">> := <<"buffer_total">>}, control(Socket)),
        ?assertMatch([#session{c2s = ended}], ets:lookup(Link#link.sessions, 2)),
        ?assertMatch([#session{c2s = C2S}] when is_pid(C2S), ets:lookup(Link#link.sessions, 1)),
        ?assertEqual(290096, buffered(Link)),
        ?assertEqual({1, 1}, {counted(resets, Link), counted(resets_buffer_total, Link)})
    end).

a_session_with_nothing_buffered_is_not_reset_for_what_others_buffer_test() ->
    with_link(fun(Socket, Link) ->
        [begin_session(Link, Id) || Id <- [1, 2]],
        send(Socket, [packet(1, <<1:(?BUFFER_TOTAL * 8 - 32 * 8)>>), packet(2, <<"a short one">>)]),
        ?assertMatch(<<"a short one">>, content_for(2)),
        ?assertEqual(?BUFFER_TOTAL + 32 + 11, buffered(Link)),
        %% Now it has something buffered.
        send(Socket, packet(2, <<"another">>)),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"2">>}, control(Socket))
    end).

a_packet_that_a_session_takes_is_no_longer_buffered_test() ->
    with_link(fun(Socket, Link) ->
        begin_session(Link, 1),
        %% More than go into a mailbox, so that some are in the backlog.
        send(Socket, [packet(1, <<N>>) || N <- lists:seq(1, 200)]),
        wait_until(fun() -> buffered(Link) =:= 200 * 33 end),
        [begin
             Content = content_for(1),
             ?assertEqual(<<N>>, Content),
             ejabberd_megaphone_delivery:taken(Link, 1, Content)
         end || N <- lists:seq(1, 200)],
        ?assertEqual(0, buffered(Link)),
        ?assertMatch([#session{packets = 0, bytes = 0}], ets:lookup(Link#link.sessions, 1))
    end).

what_a_session_leaves_is_released_when_its_process_ends_test() ->
    with_link(fun(Socket, Link) ->
        C2S = begin_session(Link, 1),
        send(Socket, [packet(1, <<N>>) || N <- lists:seq(1, 200)]),
        wait_until(fun() -> buffered(Link) =:= 200 * 33 end),
        exit(C2S, kill),
        wait_until(fun() -> buffered(Link) =:= 0 end)
    end).

output_for_all_paused_clients_together_is_limited_test() ->
    with_link(fun(Socket, Link) ->
        [begin_session(Link, Id) || Id <- [1, 2]],
        send(Socket, [op(<<"pause">>, Id) || Id <- [<<"1">>, <<"2">>]]),
        send(Socket, op(<<"ping">>, <<"0">>)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Socket)),
        ejabberd_megaphone_sender:send(Link, 1, <<1:(200000 * 8)>>),
        ejabberd_megaphone_sender:send(Link, 2, <<2:(90000 * 8)>>),
        wait_until(fun() -> buffered(Link) =:= 290064 end),
        ejabberd_megaphone_sender:send(Link, 2, <<3:(90000 * 8)>>),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"2">>, <<"reason">> := <<"buffer_total">>}, control(Socket)),
        ?assertEqual(200032, buffered(Link)),
        send(Socket, op(<<"resume">>, <<"1">>)),
        ?assertMatch({1, <<1:(200000 * 8)>>}, received(Socket)),
        ?assertEqual(0, buffered(Link))
    end).

%% Its last output exceeds the limit, and is discarded: without a reset the client would never learn of the end.
a_session_of_a_paused_client_that_ends_above_the_limit_is_reset_test() ->
    with_link(fun(Socket, Link) ->
        begin_session(Link, 1),
        send(Socket, op(<<"pause">>, <<"1">>)),
        send(Socket, op(<<"ping">>, <<"0">>)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Socket)),
        ok = sys:suspend(Link#link.owner),           % so that the order of what follows is certain
        ejabberd_megaphone_sessions:close(Link, 1),
        ejabberd_megaphone_sender:send(Link, 1, <<1:((?BUFFER_TOTAL + 1) * 8)>>),
        ejabberd_megaphone_sender:send_end(Link, 1),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"1">>}, control(Socket)),
        ok = sys:resume(Link#link.owner),
        wait_until(fun() -> buffered(Link) =:= 0 end)
    end).

%% Its pings would otherwise become pongs in a mailbox, without limit.
nothing_is_read_from_a_link_that_does_not_accept_its_answers_test() ->
    with_link(fun(Socket, Link) ->
        ok = inet:setopts(Socket, [{send_timeout, 1000}, {linger, {true, 0}}]),
        ?assert(lists:any(fun(_) -> gen_tcp:send(Socket, large_pings()) =:= {error, timeout} end, lists:seq(1, 40))),
        ?assert(atomics:get(Link#link.queued, 1) < 8000000)
    end).

nothing_is_read_from_a_link_over_tls_that_does_not_accept_its_answers_test() ->
    with_tls_link(fun({ssl, Socket}, Link) ->
        ok = ssl:setopts(Socket, [{linger, {true, 0}}]),
        Flood = spawn(fun() -> [ssl:send(Socket, large_pings()) || _ <- lists:seq(1, 100)] end),
        %% Reading goes on until more than that is queued for the socket. (Less may be left of it: the socket accepts some before it blocks.)
        wait_until(fun() -> counted(bytes_in, Link) > 4000000 end),
        wait_until_constant(fun() -> counted(bytes_in, Link) end),
        %% If everything were read, the flood would be over.
        ?assert(is_process_alive(Flood)),
        ?assert(atomics:get(Link#link.queued, 1) < 8000000),
        exit(Flood, kill)
    end).

wait_until_constant(Value) ->
    Before = Value(),
    timer:sleep(300),
    Value() =:= Before orelse wait_until_constant(Value).

large_pings() -> lists:duplicate(100, packet(0, ["{\"op\":\"ping\",\"token\":\"", binary:copy(<<"x">>, 4000), "\"}"])).

%%% TLS

a_link_over_tls_carries_the_same_as_any_other_test() ->
    with_tls_link(fun(Socket, Link) ->
        C2S = begin_session(Link, 1),
        send(Socket, [packet(1, <<N>>) || N <- lists:seq(1, 200)]),
        [begin
             Content = content_for(1),
             ?assertEqual(<<N>>, Content),
             ejabberd_megaphone_delivery:taken(Link, 1, Content)
         end || N <- lists:seq(1, 200)],
        %% Many records, in each direction.
        send(Socket, packet(1, <<2:(200000 * 8)>>)),
        ?assertEqual(<<2:(200000 * 8)>>, content_for(1)),
        ejabberd_megaphone_sender:send(Link, 1, <<3:(200000 * 8)>>),
        ?assertEqual({1, <<3:(200000 * 8)>>}, received(Socket)),
        exit(C2S, kill),
        ?assertEqual({1, <<>>}, received(Socket))
    end).

a_stopped_link_over_tls_ends_with_close_notify_test() ->
    with_tls_link(fun({ssl, Socket}, Link) ->
        ejabberd_megaphone_sender:send(Link, 1, <<"the last">>),
        ejabberd_megaphone_sender:stop(Link#link.sender),
        ?assertEqual({1, <<"the last">>}, received({ssl, Socket})),
        ?assertEqual({error, closed}, ssl:recv(Socket, 1, 1000))
    end).

%%% Whole pieces (section 9)

pieces_are_promised_where_packets_are_as_long_as_the_ecm_accepts_test_() ->
    [{Name, fun() ->
        with_listener(#options{}, fun(Connect, _Counters) ->
            ?assertMatch(#{<<"pieces">> := IsPromised}, welcome(Connect(), Hello))
        end)
     end} || {Name, IsPromised, Hello} <-
                 [{"the ECM's default", true, ""},
                  {"however long, if the link ends with its connection", true, ",\"maxPacket\":536870912"},
                  {"several have to fit into the window of one that can be resumed", true, [",\"maxPacket\":1048576" | ?RESUME]},
                  {"longer ones would not", false, [",\"maxPacket\":1048577" | ?RESUME]}]].

a_full_packet_goes_on_in_the_next_one_test() ->
    with_listener(#options{}, fun(Connect, _Counters) ->
        Socket = Connect(),
        welcome(Socket, ",\"maxPacket\":64"),
        [Link] = ets:tab2list(?LINKS),
        [ejabberd_megaphone_sender:send(Link, 1, binary:copy(<<"x">>, Size)) || Size <- [31, 32, 33, 64]],
        ejabberd_megaphone_sender:send_end(Link, 1),
        Full = binary:copy(<<"x">>, 32),
        ?assertEqual([binary:copy(<<"x">>, 31), Full, <<" ">>, Full, <<"x">>, Full, Full, <<" ">>, <<>>],
                     [begin {1, Content} = received(Socket), Content end || _ <- lists:seq(1, 9)])
    end).

%% Packets that are sent again were cut for it as it was.
an_ecm_that_comes_back_for_longer_packets_is_promised_nothing_test() ->
    with_listener(#options{}, fun(Connect, _Counters) ->
        First = Connect(),
        #{<<"pieces">> := true, <<"resume">> := #{<<"token">> := Token}} = welcome(First, [",\"maxPacket\":64" | ?RESUME]),
        Resume = [",\"resume\":{\"instance\":\"i\",\"slot\":0,\"window\":65536,\"token\":\"", Token, "\",\"received\":\"0\"}"],
        Longer = Connect(),
        ?assertMatch(#{<<"pieces">> := false, <<"resume">> := #{<<"received">> := <<"0">>}},
                     welcome(Longer, [",\"maxPacket\":128" | Resume])),
        [Link] = ets:tab2list(?LINKS),
        ejabberd_megaphone_sender:send(Link, 1, binary:copy(<<"x">>, 32)),
        ejabberd_megaphone_sender:send(Link, 1, <<"y">>),
        ?assertEqual({1, binary:copy(<<"x">>, 32)}, received(Longer)),
        ?assertEqual({1, <<"y">>}, received(Longer))
    end).

welcome(Socket, Members) ->
    send(Socket, packet(0, ["{\"op\":\"hello\",\"version\":1,\"name\":\"edge\"", Members, "}"])),
    #{<<"op">> := <<"welcome">>} = control(Socket).

%%% Drains

a_new_link_of_a_node_that_drains_is_asked_for_no_sessions_and_serves_those_that_come_all_the_same_test() ->
    with_listener(#options{}, fun(Connect, _Counters) ->
        ejabberd_megaphone_shared:put_new(draining, true),
        Socket = Connect(),
        send(Socket, hello()),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Socket)),
        ?assertEqual(#{<<"op">> => <<"drain">>}, control(Socket)),
        [Link] = ets:tab2list(?LINKS),
        begin_session(Link, 1),
        send(Socket, packet(1, <<"hi">>)),
        ?assertEqual(<<"hi">>, content_for(1))
    end).

%%% Ends

%% Each session is awake, and uses memory, from when it is told until it has ended.
a_lost_link_tells_at_most_the_sessions_of_a_quarter_of_a_second_to_close_test() ->
    with_link(fun(Socket, Link) ->
        C2S = [begin_session(Link, Id) || Id <- lists:seq(1, 300)],
        gen_tcp:close(Socket),
        First = closed(100) ++ closed_within(1000),
        ?assert(length(First) < 110),
        lists:foreach(fun(Pid) -> exit(Pid, kill) end, First),
        Second = closed(100) ++ closed_within(1000),
        ?assert(length(Second) < 110),
        lists:foreach(fun(Pid) -> exit(Pid, kill) end, Second),
        Third = closed(300 - length(First ++ Second)),
        ?assertEqual(lists:sort(C2S), lists:sort(First ++ Second ++ Third))
    end).

the_sessions_of_a_lost_link_over_tls_are_closed_test() ->
    with_tls_link(fun({ssl, Socket}, Link) ->
        C2S = begin_session(Link, 1),
        ssl:close(Socket),
        ?assertEqual([C2S], closed(1))
    end).

the_owner_of_a_lost_link_stays_until_the_last_process_of_a_session_has_ended_test() ->
    with_link(fun(Socket, #link{owner = Owner, receiver = Receiver, sender = Sender} = Link) ->
        C2S = begin_session(Link, 1),
        Monitors = [monitor(process, Pid) || Pid <- [Receiver, Sender]],
        gen_tcp:close(Socket),
        [receive {'DOWN', Monitor, _, _, _} -> ok after 50000 -> exit(stays) end || Monitor <- Monitors],
        ?assertEqual([C2S], closed(1)),
        true = ejabberd_megaphone_sessions:close(Link, 1),
        ?assertMatch({ok, #link{sender = undefined}}, ejabberd_megaphone_link:find(Owner)),
        exit(C2S, kill),
        wait_until(fun() -> ejabberd_megaphone_link:find(Owner) =:= error end),
        ?assertEqual(1, counted(links_lost, Link))
    end).

%% A process that crashed would log what it holds.
a_link_ends_in_order_whatever_arrives_test_() ->
    [{atom_to_list(Class), fun() ->
        with_link(fun(Socket, Link) ->
            C2S = begin_session(Link, 1),
            Monitor = monitor(process, Link#link.receiver),
            hostile:with_failing({ejabberd_megaphone_control, decode, 1}, Class, fun() ->
                send(Socket, op(<<"ping">>, <<"1">>)),
                ?assertEqual({shutdown, protocol_error}, receive {'DOWN', Monitor, _, _, Reason} -> Reason after 50000 -> none end)
            end),
            ?assertEqual(1, counted(failures, Link)),
            ?assertEqual([C2S], closed(1))
        end)
     end} || Class <- [error, exit, throw]].

%% A VM keeps two versions of a module: with the second load, processes that still run the first are killed.
a_link_stays_up_when_its_modules_are_loaded_again_twice_test() ->
    with_link(fun(Socket, Link) ->
        begin_session(Link, 1),
        Modules = [ejabberd_megaphone_receiver, ejabberd_megaphone_sender, ejabberd_megaphone_link],
        lists:foreach(fun load_again/1, Modules ++ Modules ++ Modules),
        send(Socket, packet(1, <<"in">>)),
        ?assertEqual(<<"in">>, content_for(1)),
        ejabberd_megaphone_sender:send(Link, 1, <<"out">>),
        ?assertEqual({1, <<"out">>}, received(Socket))
    end).

load_again(Module) ->
    ?assert(code:soft_purge(Module)),
    {module, Module} = code:load_file(Module).

%%% Receiver and sender beyond one connection. This test stands for their owner.

a_receiver_reports_the_end_of_its_connection_and_reads_from_the_next_test() ->
    with_parts(fun(#link{receiver = Receiver} = Link) ->
        begin_session(Link, 1),
        First = connect(Link),
        %% A backlog is kept, but not half a packet.
        send(First, [[packet(1, <<N>>) || N <- lists:seq(1, 100)], <<"0000000041|">>]),
        gen_tcp:close(First),
        ?assertMatch({disconnected, _, _}, report()),
        Second = connect(Link),
        send(Second, packet(1, <<101>>)),
        [begin
             ?assertEqual(<<N>>, content_for(1)),
             ejabberd_megaphone_delivery:taken(Link, 1, <<N>>)
         end || N <- lists:seq(1, 101)],
        ?assert(is_process_alive(Receiver))
    end).

a_sender_reports_that_it_cannot_write_drops_what_is_queued_and_writes_to_the_next_connection_test() ->
    with_parts(fun(#link{sender = Sender, queued = Queued} = Link) ->
        {_, Closed} = pair(),
        gen_tcp:close(Closed),
        ejabberd_megaphone_sender:connect(Link, {gen_tcp, Closed, Closed}, none),
        ejabberd_megaphone_sender:send(Link, 1, <<"lost">>),
        ?assertEqual({send_failed, Closed, closed}, report()),
        ejabberd_megaphone_sender:send(Link, 1, <<"lost, too">>),
        wait_until(fun() -> atomics:get(Queued, 1) =:= 0 end),
        {Ecm, Socket} = pair(),
        ejabberd_megaphone_sender:connect(Link, {gen_tcp, Socket, Socket}, {welcome, #options{}, true, none}),
        ejabberd_megaphone_sender:send(Link, 1, <<"sent">>),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Ecm)),
        ?assertEqual({1, <<"sent">>}, received(Ecm)),
        ?assert(is_process_alive(Sender))
    end).

%% What is cast to the owner, beside the opening of the session.
report() ->
    receive {'$gen_cast', Report} when element(1, Report) =:= disconnected; element(1, Report) =:= send_failed -> Report
    after 50000 -> exit(no_report)
    end.

%% A receiver and a sender that are linked to this process, which owns the link.
with_parts(Test) ->
    Key = ejabberd_megaphone_shared:publish(#options{}),
    ok = ejabberd_megaphone_log:new(),
    Link0 = #link{owner = self(), sessions = ets:new(sessions, [public, {keypos, #session.id}]), queued = atomics:new(2, []),
                  budget = ejabberd_megaphone_budget:new(?BUFFER_TOTAL), counters = ejabberd_megaphone_counters:new(), options = Key,
                  addresses = {{{127, 0, 0, 1}, 1}, {{127, 0, 0, 1}, 2}}},
    {ok, Sender} = ejabberd_megaphone_sender:start_link(Link0),
    {ok, Receiver} = ejabberd_megaphone_receiver:start_link(Link0#link{sender = Sender}, #options{}),
    try Test(Link0#link{sender = Sender, receiver = Receiver})
    after
        [begin unlink(Pid), exit(Pid, kill) end || Pid <- [Sender, Receiver]],
        ets:delete(ejabberd_megaphone_log),
        ejabberd_megaphone_shared:erase()
    end.

%% Gives the receiver of a link a connection. The ECM's end of it.
connect(#link{receiver = Receiver} = Link) ->
    {Ecm, Socket} = pair(),
    ok = gen_tcp:controlling_process(Socket, Receiver),
    ejabberd_megaphone_receiver:connect(Receiver, Link, {gen_tcp, Socket, Socket}, ejabberd_megaphone_splitter:new(1 bsl 20)),
    Ecm.

pair() ->
    {ok, Listening} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, binary, {active, false}]),
    {ok, Port} = inet:port(Listening),
    {ok, Ecm} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    {ok, Socket} = gen_tcp:accept(Listening, 1000),
    gen_tcp:close(Listening),
    {Ecm, Socket}.
