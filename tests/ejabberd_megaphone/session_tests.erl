%%% What a session does in its c2s process, for which this test's process stands: it gets the events that ejabberd would get.
-module(session_tests).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").

-define(ID, 7).
-define(HEADER, <<"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>">>).

load_test() ->
    {ok, _} = application:ensure_all_started(fast_xml).

a_header_that_is_no_utf_8_ends_the_stream_and_is_taken_up_test() ->
    with_session(fun(Link) ->
        arrives(Link, <<"<stream:stream to='", (binary:copy(<<" ", 16#C3, "(">>, 60000))/binary, "'>">>, wait_for_stream),
        ?assertMatch([{xmlstreamerror, {_, Text}}] when byte_size(Text) < 200, events()),
        assert_nothing_waits(Link)
    end).

%% No packet does that any more that we know of, so that another module has to.
whatever_a_packet_makes_of_the_parser_its_session_ends_in_order_test_() ->
    [{atom_to_list(Class), fun() ->
        with_session(fun(Link) ->
            hostile:with_failing({ejabberd_megaphone_xml, events, 2}, Class, fun() ->
                Packet = binary:copy(<<"<a>\n">>, 50000),
                arrives(Link, Packet, established),
                ?assertMatch([{xmlstreamerror, {4, _}}], events()),
                assert_nothing_waits(Link),
                %% What else comes is not looked at, and given back all the same.
                arrives(Link, Packet, established),
                ?assertEqual([], events()),
                assert_nothing_waits(Link),
                ?assertEqual(1, counted(failures, Link)),
                [Line] = lines(),
                ?assert(length(Line) < 400),
                ?assertEqual(nomatch, re:run(Line, "\n|<a>"))
            end)
        end)
     end} || Class <- [error, exit, throw]].

%% ejabberd would write it to its log, were it to be given one.
an_element_in_the_place_of_a_header_is_an_error_test() ->
    with_session(fun(Link) ->
        arrives(Link, <<"<message/>">>, wait_for_stream),
        ?assertMatch([{xmlstreamerror, _}], events()),
        assert_nothing_waits(Link)
    end).

%% Until the login is done each packet has to wait for what ejabberd makes of the one before, which is what decides whether a header is
%% due. Those here come at once.
packets_of_a_login_that_come_together_are_read_one_after_the_other_test() ->
    with_session(fun(Link) ->
        put('$internal_queue_len', 0),
        self() ! something_else,
        arrives(Link, ?HEADER, wait_for_stream),
        receive something_else -> ok end,
        arrives(Link, <<"<auth/>">>, wait_for_stream),
        arrives(Link, <<"<presence/>">>, wait_for_stream),
        ?assertMatch([{xmlstreamstart, _, _}], events()),
        goes_on(wait_for_sasl_request),
        ?assertMatch([{xmlstreamelement, _}], events()),
        ?assert(ejabberd_megaphone_budget:reserved(Link#link.budget) > 0),
        %% It was right, and a header would be due.
        goes_on(wait_for_stream),
        ?assertMatch([{xmlstreamerror, _}], events()),
        assert_nothing_waits(Link)
    end).

packets_that_come_alone_or_after_the_login_need_not_wait_test_() ->
    [{atom_to_list(StreamState), fun() ->
        with_session(fun(Link) ->
            put('$internal_queue_len', 0),
            [self() ! something_else || StreamState =:= established],
            arrives(Link, Packet, StreamState),
            ?assertMatch([_], events()),
            ?assertEqual(nothing, receive {ejabberd_megaphone, unblock} -> something after 0 -> nothing end),
            assert_nothing_waits(Link)
        end)
     end} || {StreamState, Packet} <- [{wait_for_stream, ?HEADER}, {wait_for_bind, <<"<iq/>">>}, {established, <<"<presence/>">>}]].

%%% The session

%% What the receiver does with a packet, and what the hook then does.
arrives(#link{sessions = Sessions, budget = Budget}, Content, StreamState) ->
    Bytes = ejabberd_megaphone_budget:packet_bytes(Content),
    ejabberd_megaphone_budget:reserve(Budget, Bytes),
    ets:update_counter(Sessions, ?ID, [{#session.packets, 1}, {#session.bytes, Bytes}]),
    hook({packet, Content}, StreamState).

goes_on(StreamState) ->
    receive {ejabberd_megaphone, unblock} -> hook(unblock, StreamState) after 0 -> error(does_not_wait) end.

hook(Message, StreamState) ->
    State = #{stream_state => StreamState},
    ?assertEqual({stop, State}, ejabberd_megaphone_session:c2s_handle_info(State, {ejabberd_megaphone, Message})).

events() ->
    receive {'$gen_event', Event} -> [Event | events()] after 0 -> [] end.

lines() ->
    receive {line, Line} -> [Line | lines()] after 0 -> [] end.

assert_nothing_waits(#link{sessions = Sessions, budget = Budget}) ->
    ?assertEqual(0, ejabberd_megaphone_budget:reserved(Budget)),
    ?assertMatch([#session{packets = 0, bytes = 0}], ets:lookup(Sessions, ?ID)).

counted(Name, #link{counters = Counters}) -> proplists:get_value(Name, ejabberd_megaphone_counters:all(Counters)).

with_session(Test) ->
    flush(),
    ?LINKS = ets:new(?LINKS, [named_table, public, {keypos, #link.owner}]),
    Sessions = ets:new(sessions, [public, {keypos, #session.id}]),
    true = ets:insert(Sessions, #session{id = ?ID, c2s = self()}),
    Link = #link{owner = self(), receiver = self(), sender = self(), sessions = Sessions, queued = atomics:new(1, []),
                 budget = ejabberd_megaphone_budget:new(1 bsl 30), counters = ejabberd_megaphone_counters:new(),
                 options = ejabberd_megaphone_shared:publish(#options{}), addresses = {{{127, 0, 0, 1}, 1}, {{127, 0, 0, 1}, 2}}},
    true = ets:insert(?LINKS, Link),
    ok = ejabberd_megaphone_log:new(),
    ok = logger:add_handler(?MODULE, line_handler, #{config => self()}),
    Socket = {tcp, self(), ?ID},
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
