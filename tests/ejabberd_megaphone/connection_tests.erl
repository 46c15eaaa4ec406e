%%% Connections up to their first packet: what becomes a link, and what is refused.
-module(connection_tests).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(test_link, [with_link/1, with_link/2, with_listener/2, with_secret/1, begin_session/2, content_for/1, buffered/1, counted/2, wait_until/1,
                    packet/2, op/2, hello/0, hello/1, answer_to_hello/2, send/2, recv/3, control/1, received/1]).

%%% The first packet

a_connection_becomes_a_link_by_its_hello_test() ->
    with_listener(#options{}, fun(Connect, Counters) ->
        Socket = Connect(),
        send(Socket, binary:part(iolist_to_binary(hello()), 0, 40)),
        wait_until(fun() -> counted(bytes_in, Counters) =:= 40 end),
        ?assertEqual({[], 0}, {ets:tab2list(?LINKS), counted(links_opened, Counters)}),
        send(Socket, binary:part(iolist_to_binary(hello()), 40, byte_size(iolist_to_binary(hello())) - 40)),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Socket)),
        ?assertMatch([#link{has_control = true}], ets:tab2list(?LINKS)),
        ?assertEqual(1, counted(links_opened, Counters))
    end).

a_connection_becomes_a_link_without_control_by_the_packet_of_a_session_test() ->
    with_listener(#options{}, fun(Connect, _Counters) ->
        Socket = Connect(),
        send(Socket, packet(7, <<>>)),
        ?assertEqual({7, <<>>}, received(Socket)),
        [#link{has_control = false, sessions = Sessions} = Link] = ets:tab2list(?LINKS),
        ?assertMatch([#session{c2s = ended}], ets:lookup(Sessions, 7)),
        begin_session(Link, 8),
        send(Socket, packet(8, <<"in">>)),
        ?assertEqual(<<"in">>, content_for(8))
    end).

the_content_of_a_first_packet_that_is_no_hello_is_left_to_the_link_test() ->
    with_listener(#options{}, fun(Connect, _Counters) ->
        send(Connect(), <<"0001000000|00000000000000000007|<stream:stream">>),
        wait_until(fun() -> length(ets:tab2list(?LINKS)) =:= 1 end)
    end).

packets_behind_the_hello_are_read_in_order_test() ->
    with_listener(#options{}, fun(Connect, _Counters) ->
        Socket = Connect(),
        send(Socket, [hello(), [packet(0, ["{\"op\":\"ping\",\"token\":", integer_to_list(N), "}"]) || N <- lists:seq(1, 50)]]),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Socket)),
        [?assertMatch(#{<<"op">> := <<"pong">>, <<"token">> := N}, control(Socket)) || N <- lists:seq(1, 50)]
    end).

a_first_packet_that_violates_the_protocol_closes_the_connection_test_() ->
    [{Name, fun() ->
        with_listener(Options, fun(Connect, Counters) ->
            Socket = Connect(),
            send(Socket, Packet),
            ?assertEqual({error, closed}, recv(Socket, 1, 5000)),
            ?assertEqual({1, 0}, {counted(protocol_errors, Counters), counted(links_opened, Counters)})
        end)
     end} || {Name, Options, Packet} <-
                 [{"no packet", #options{}, <<"GET / HTTP/1.1\r\n\r\n">>},
                  {"control before the hello", #options{}, op(<<"ping">>, <<"1">>)},
                  {"no JSON", #options{}, packet(0, <<"no JSON">>)},
                  {"a session where a secret is required", #options{secret = <<"secret">>}, packet(7, <<"<stream:stream>">>)},
                  {"a packet longer than a hello where a secret is required", #options{secret = <<"secret">>}, <<"0000010000|">>}]].

a_hello_that_is_not_the_first_packet_is_an_error_on_any_link_test_() ->
    [{Name, fun() ->
        with_listener(#options{}, fun(Connect, Counters) ->
            Socket = Connect(),
            send(Socket, [First, hello()]),
            wait_until(fun() -> counted(protocol_errors, Counters) =:= 1 end),
            wait_until(fun() -> ets:tab2list(?LINKS) =:= [] end)
        end)
     end} || {Name, First} <- [{"with control", hello()}, {"without control", packet(7, <<>>)}]].

bytes_that_are_not_tls_are_refused_where_it_is_required_and_counted_test() ->
    {ok, _} = application:ensure_all_started(ssl),
    test_certificates:with(fun(#{folder := Folder}) ->
        with_listener(#options{tls = #{certfile => test_certificates:file(Folder, server), cafile => undefined}}, fun(Connect, Counters) ->
            Socket = Connect(),
            send(Socket, hello()),
            wait_until(fun() -> counted(tls_failed, Counters) =:= 1 end),
            %% An alert may come before the end.
            ?assertMatch({error, _}, gen_tcp:recv(Socket, 1000, 1000)),
            ?assertEqual([], ets:tab2list(?LINKS))
        end)
    end).

%%% How many there may be

a_new_link_is_refused_where_there_are_max_links_and_one_that_ends_makes_room_test() ->
    with_listener(#options{max_links = 2}, fun(Connect, Counters) ->
        [First | _] = [begin
                           Socket = Connect(),
                           send(Socket, hello()),
                           ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Socket)),
                           Socket
                       end || _ <- [1, 2]],
        Refused = Connect(),
        send(Refused, hello()),
        ?assertMatch(#{<<"op">> := <<"refuse">>, <<"reason">> := <<"max_links (2) is reached">>}, control(Refused)),
        ?assertEqual({error, closed}, recv(Refused, 1, 5000)),
        ?assertEqual(1, counted(links_refused, Counters)),
        gen_tcp:close(First),
        wait_until(fun() -> length(ets:tab2list(?LINKS)) =:= 1 end),
        Again = Connect(),
        send(Again, hello()),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Again))
    end).

of_too_many_silent_connections_the_oldest_ends_test() ->
    with_listener(#options{}, fun(Connect, _Counters) ->
        [Oldest, Second | _] = [Connect() || _ <- lists:seq(1, 257)],
        ?assertEqual({error, closed}, recv(Oldest, 1, 5000)),
        ?assertEqual({error, timeout}, recv(Second, 1, 100)),
        send(Second, hello()),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Second))
    end).

%%% The processes

a_silent_connection_ends_with_its_listener_test() ->
    with_process(fun(Connection, Listener, Ecm) ->
        Monitor = monitor(process, Connection),
        exit(Listener, kill),
        ?assertEqual(normal, receive {'DOWN', Monitor, _, _, Reason} -> Reason after 50000 -> stays end),
        ?assertEqual({error, closed}, recv(Ecm, 1, 5000))
    end).

a_silent_connection_stays_when_its_module_is_loaded_again_twice_test() ->
    with_process(fun(Connection, _Listener, _Ecm) ->
        [begin
             ?assert(code:soft_purge(ejabberd_megaphone_connection)),
             {module, _} = code:load_file(ejabberd_megaphone_connection)
         end || _ <- lists:seq(1, 3)],
        ?assert(is_process_alive(Connection))
    end).

%% Else nothing would ever end it.
a_link_ends_if_the_process_that_started_it_ends_before_it_is_connected_test() ->
    with_listener(#options{}, fun(_Connect, Counters) ->
        Key = ejabberd_megaphone_shared:publish(#options{}),
        Test = self(),
        Starter = spawn(fun() ->
                            {ok, Link, none} = ejabberd_megaphone_link:start(Test, {{{127, 0, 0, 1}, 1}, {{127, 0, 0, 1}, 2}}, none, {Key, Counters}),
                            Test ! {started, Link},
                            receive stop -> ok end
                        end),
        #link{owner = Owner} = receive {started, Link} -> Link after 50000 -> exit(no_link) end,
        Monitor = monitor(process, Owner),
        exit(Starter, kill),
        ?assertEqual(normal, receive {'DOWN', Monitor, _, _, Reason} -> Reason after 50000 -> stays end)
    end).

%% Calls `Test' with the process of a connection that is silent, its listener, and the ECM's socket.
with_process(Test) ->
    {ok, Listening} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, binary, {active, false}]),
    {ok, Port} = inet:port(Listening),
    {ok, Ecm} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    {ok, Socket} = gen_tcp:accept(Listening, 1000),
    Listener = spawn(fun() -> receive stop -> ok end end),
    Terms = {ejabberd_megaphone_shared:publish(#options{}), ejabberd_megaphone_counters:new()},
    {ok, Connection} = ejabberd_megaphone_connection:start(Socket, Listener, Terms, undefined),
    ok = gen_tcp:controlling_process(Socket, Connection),
    ejabberd_megaphone_connection:accept(Connection),
    wait_until(fun() -> inet:getopts(Socket, [active]) =:= {ok, [{active, once}]} end),
    try Test(Connection, Listener, Ecm)
    after
        [exit(Pid, kill) || Pid <- [Connection, Listener]],
        [gen_tcp:close(Open) || Open <- [Listening, Ecm]],
        ejabberd_megaphone_shared:erase()
    end.

%%% The first packet of a session

a_first_packet_that_raises_an_exception_resets_that_session_alone_test() ->
    with_link(fun(Socket, Link) ->
        begin_session(Link, 1),
        hostile:with_failing({ejabberd_megaphone_proxy, client, 2}, error, fun() ->
            send(Socket, packet(2, binary:copy(<<"PROXY ">>, 50000))),
            ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"2">>, <<"reason">> := <<"bad_proxy_header">>}, control(Socket))
        end),
        send(Socket, packet(1, <<"in">>)),
        ?assertEqual(<<"in">>, content_for(1)),
        ?assertEqual({1, 1}, {counted(failures, Link), counted(proxy_refused, Link)}),
        ?assertEqual(32 + 2, buffered(Link))
    end).

a_session_without_a_PROXY_header_is_refused_where_one_is_required_test() ->
    with_link(#options{proxy_header = required}, fun(Socket, Link) ->
        [begin
             send(Socket, packet(Id, Content)),
             IdText = integer_to_binary(Id),
             ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := IdText, <<"reason">> := <<"bad_proxy_header">>}, control(Socket)),
             ?assertMatch([#session{c2s = ended}], ets:lookup(Link#link.sessions, Id))
         end || {Id, Content} <- [{1, <<"<stream:stream>">>}, {2, <<"PROXY UNKNOWN\r\n">>}]],
        ?assertEqual(2, counted(proxy_refused, Link))
    end).

a_session_with_a_PROXY_header_is_refused_where_it_is_forbidden_test() ->
    with_link(#options{proxy_header = forbidden}, fun(Socket, Link) ->
        send(Socket, packet(1, <<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222\r\n">>)),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"1">>, <<"reason">> := <<"bad_proxy_header">>}, control(Socket)),
        ?assertEqual(1, counted(proxy_refused, Link))
    end).

%%% Secrets

a_wrong_secret_is_refused_and_the_next_from_that_address_waits_test() ->
    with_secret(fun(Connect, Counters) ->
        ?assertEqual({refuse, <<"wrong or no secret">>}, answer_to_hello(Connect(), <<"wrong">>)),
        ?assertEqual(1, counted(secret_wrong, Counters)),
        {Time, Answer} = timer:tc(fun() -> answer_to_hello(Connect(), <<"open sesame">>) end),
        ?assertEqual(welcome, Answer),
        ?assert(Time > 500000)
    end).

links_that_are_up_do_not_wait_while_others_guess_test() ->
    with_secret(fun(Connect, Counters) ->
        Up = Connect(),
        ?assertEqual(welcome, answer_to_hello(Up, <<"open sesame">>)),
        Guesses = [Connect() || _ <- lists:seq(1, 30)],
        [send(Guess, hello(<<"wrong">>)) || Guess <- Guesses],
        wait_until(fun() -> counted(secret_throttled, Counters) + counted(secret_wrong, Counters) >= 22 end),
        send(Up, op(<<"ping">>, <<"0">>)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Up)),
        ?assert(counted(secret_wrong, Counters) < 10)
    end).

%% What is sent behind its hello meanwhile is kept, in order.
a_link_that_had_to_wait_is_like_any_other_test() ->
    with_secret(fun(Connect, _Counters) ->
        ?assertMatch({refuse, _}, answer_to_hello(Connect(), <<"wrong">>)),
        Socket = Connect(),
        send(Socket, [hello(<<"open sesame">>), op(<<"ping">>, <<"0">>)]),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Socket)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Socket)),
        send(Socket, op(<<"ping">>, <<"0">>)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Socket))
    end).

%% Ten seconds, whatever it waits for.
a_connection_that_has_to_wait_ends_when_its_time_for_a_hello_is_over_test_() ->
    {timeout, 60, fun() ->
        with_secret(fun(Connect, Counters) ->
            Late = Connect(),
            timer:sleep(8000),
            Guesses = [Connect() || _ <- lists:seq(1, 4)],
            [send(Guess, hello(<<"wrong">>)) || Guess <- Guesses],
            wait_until(fun() -> counted(secret_wrong, Counters) >= 1 end),
            timer:sleep(200),
            send(Late, hello(<<"open sesame">>)),
            ?assertMatch({error, closed}, recv(Late, 1, 15000)),
            ?assert(counted(protocol_errors, Counters) >= 1)
        end)
    end}.
