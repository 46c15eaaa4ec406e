%%% A session in its c2s process, for which the process of the test stands: it gets the events that ejabberd would get.
-module(session_tests).

-include_lib("eunit/include/eunit.hrl").
-include_lib("fast_xml/include/fxml.hrl").
-include("ejabberd_megaphone.hrl").

-define(ID, 7).
-define(HEADER, <<"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>">>).

load_test() ->
    {ok, _} = application:ensure_all_started(fast_xml).

a_header_that_is_not_utf_8_ends_the_stream_and_is_taken_test() ->
    with_session(fun(Link) ->
        arrives(Link, <<"<stream:stream to='", (binary:copy(<<" ", 16#C3, "(">>, 60000))/binary, "'>">>, wait_for_stream),
        ?assertMatch([{xmlstreamerror, {_, Text}}] when byte_size(Text) < 200, events()),
        assert_nothing_is_buffered(Link)
    end).

%% No packet is known that raises one, so that the parser is replaced.
a_session_ends_in_order_if_its_packet_raises_an_exception_test_() ->
    [{atom_to_list(Class), fun() ->
        with_session(fun(Link) ->
            hostile:with_failing({ejabberd_megaphone_xml, events, 2}, Class, fun() ->
                Packet = binary:copy(<<"<a>\n">>, 50000),
                arrives(Link, Packet, established),
                ?assertMatch([{xmlstreamerror, {4, _}}], events()),
                assert_nothing_is_buffered(Link),
                %% Further packets are not parsed, but taken all the same.
                arrives(Link, Packet, established),
                ?assertEqual([], events()),
                assert_nothing_is_buffered(Link),
                ?assertEqual(1, counted(failures, Link)),
                [Line] = lines(),
                ?assert(length(Line) < 400),
                ?assertEqual(nomatch, re:run(Line, "\n|<a>"))
            end)
        end)
     end} || Class <- [error, exit, throw]].

%% ejabberd would log it.
an_element_is_an_error_where_a_header_is_due_test() ->
    with_session(fun(Link) ->
        arrives(Link, <<"<message/>">>, wait_for_stream),
        ?assertMatch([{xmlstreamerror, _}], events()),
        assert_nothing_is_buffered(Link)
    end).

%% Until the login is done, whether a header is due depends on what ejabberd makes of the packet before.
packets_of_a_login_that_arrive_together_are_parsed_one_after_the_other_test() ->
    with_session(fun(Link) ->
        put('$internal_queue_len', 0),
        self() ! something_else,
        arrives(Link, ?HEADER, wait_for_stream),
        receive something_else -> ok end,
        arrives(Link, <<"<auth/>">>, wait_for_stream),
        arrives(Link, <<"<presence/>">>, wait_for_stream),
        ?assertMatch([{xmlstreamstart, _, _}], events()),
        unblocks(wait_for_sasl_request),
        ?assertMatch([{xmlstreamelement, _}], events()),
        ?assert(ejabberd_megaphone_budget:reserved(Link#link.budget) > 0),
        %% The credentials were right, and a header is due.
        unblocks(wait_for_stream),
        ?assertMatch([{xmlstreamerror, _}], events()),
        assert_nothing_is_buffered(Link)
    end).

packets_that_arrive_alone_or_after_the_login_do_not_wait_test_() ->
    [{atom_to_list(StreamState), fun() ->
        with_session(fun(Link) ->
            put('$internal_queue_len', 0),
            [self() ! something_else || StreamState =:= established],
            arrives(Link, Packet, StreamState),
            ?assertMatch([_], events()),
            ?assertEqual(nothing, receive {ejabberd_megaphone, unblock} -> something after 0 -> nothing end),
            assert_nothing_is_buffered(Link)
        end)
     end} || {StreamState, Packet} <- [{wait_for_stream, ?HEADER}, {wait_for_bind, <<"<iq/>">>}, {established, <<"<presence/>">>}]].

ejabberd_is_told_how_the_client_is_connected_test_() ->
    [?_assertEqual(Expected, ejabberd_megaphone_session:get_transport({Transport, self(), ?ID}))
     || {Transport, Expected} <- [{tcp, tcp}, {tls, tls}, {ws, websocket}, {wss, websocket}]].

modules_learn_after_the_login_whether_the_client_uses_tls_test_() ->
    [{atom_to_list(Transport), fun() ->
        with_session(Transport, fun(_Link) ->
            State = #{stream_encrypted => false},
            ?assertEqual(#{stream_encrypted => Expected}, ejabberd_megaphone_session:c2s_auth_result(State, true, <<"juliet">>)),
            ?assertEqual(State, ejabberd_megaphone_session:c2s_auth_result(State, {false, <<"no">>}, <<"juliet">>))
        end)
     end} || {Transport, Expected} <- [{tcp, false}, {tls, true}, {ws, false}, {wss, true}]].

once_it_is_logged_in_a_session_has_as_many_turns_as_others_test() ->
    with_session(tcp, fun(_Link) ->
        process_flag(priority, low),
        ejabberd_megaphone_session:c2s_auth_result(#{}, {false, <<"no">>}, <<"juliet">>),
        ?assertEqual({priority, low}, process_info(self(), priority)),
        ejabberd_megaphone_session:c2s_auth_result(#{}, true, <<"juliet">>),
        ?assertEqual({priority, normal}, process_info(self(), priority))
    end).

what_a_websocket_is_sent_stands_by_itself_test_() ->
    [{atom_to_list(Transport), fun() ->
        with_session(Transport, fun(_Link) ->
            ok = ejabberd_megaphone_session:send_xml({Transport, self(), ?ID}, {xmlstreamelement, #xmlel{name = <<"a">>}}),
            <<_Header:32/binary, Content/binary>> = receive {send, ?ID, _, Packet} -> iolist_to_binary(Packet) end,
            ?assertEqual(Expected, Content)
        end)
     end} || {Transport, Expected} <- [{tcp, <<"<a/>">>}, {tls, <<"<a/>">>},
                                       {ws, <<"<a xmlns='jabber:client'/>">>}, {wss, <<"<a xmlns='jabber:client'/>">>}]].

%%% The session

%% Does what the receiver does with a packet, and runs the hook.
arrives(#link{sessions = Sessions, budget = Budget}, Content, StreamState) ->
    Bytes = ejabberd_megaphone_budget:packet_bytes(Content),
    ejabberd_megaphone_budget:reserve(Budget, Bytes),
    ets:update_counter(Sessions, ?ID, [{#session.packets, 1}, {#session.bytes, Bytes}]),
    hook({packet, Content}, StreamState).

unblocks(StreamState) ->
    receive {ejabberd_megaphone, unblock} -> hook(unblock, StreamState) after 0 -> error(is_not_blocked) end.

hook(Message, StreamState) ->
    State = #{stream_state => StreamState},
    ?assertEqual({stop, State}, ejabberd_megaphone_session:c2s_handle_info(State, {ejabberd_megaphone, Message})).

events() ->
    receive {'$gen_event', Event} -> [Event | events()] after 0 -> [] end.

lines() ->
    receive {line, Line} -> [Line | lines()] after 0 -> [] end.

assert_nothing_is_buffered(#link{sessions = Sessions, budget = Budget}) ->
    ?assertEqual(0, ejabberd_megaphone_budget:reserved(Budget)),
    ?assertMatch([#session{packets = 0, bytes = 0}], ets:lookup(Sessions, ?ID)).

counted(Name, #link{counters = Counters}) -> proplists:get_value(Name, ejabberd_megaphone_counters:all(Counters)).

with_session(Test) -> with_session(tcp, Test).

with_session(Transport, Test) ->
    flush(),
    ?LINKS = ets:new(?LINKS, [named_table, public, {keypos, #link.owner}]),
    Sessions = ets:new(sessions, [public, {keypos, #session.id}]),
    true = ets:insert(Sessions, #session{id = ?ID, c2s = self()}),
    Link = #link{owner = self(), receiver = self(), sender = self(), sessions = Sessions, queued = atomics:new(2, []),
                 budget = ejabberd_megaphone_budget:new(1 bsl 30), counters = ejabberd_megaphone_counters:new(),
                 options = ejabberd_megaphone_shared:publish(#options{}), addresses = {{{127, 0, 0, 1}, 1}, {{127, 0, 0, 1}, 2}}},
    true = ets:insert(?LINKS, Link),
    ok = ejabberd_megaphone_log:new(),
    ok = logger:add_handler(?MODULE, line_handler, #{config => self()}),
    Socket = {Transport, self(), ?ID},
    ok = ejabberd_megaphone_session:setopts(Socket, [{active, once}]),
    try Test(Link)
    after
        erase(),
        ok = logger:remove_handler(?MODULE),
        ets:delete(ejabberd_megaphone_log),
        ets:delete(?LINKS),
        ejabberd_megaphone_shared:erase()
    end.

flush() ->
    receive _ -> flush() after 0 -> ok end.
