%%% Packets as events of ejabberd's parser.
-module(xml_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-include_lib("fast_xml/include/fxml.hrl").
-import(ejabberd_megaphone_xml, [events/2, encode/1, encode_alone/1]).

-define(HEADER, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' "
                "version='1.0'").

load_test() ->
    {ok, _} = application:ensure_all_started(fast_xml).

a_stanza_is_an_element_test() ->
    ?assertEqual([{xmlstreamelement, #xmlel{name = <<"presence">>}}], events(<<"<presence/>">>, false)).

a_stream_header_opens_the_stream_test_() ->
    [?_assertMatch([{xmlstreamstart, <<"stream:stream">>, [{<<"xmlns">>, <<"jabber:client">>} | _]}], events(Packet, Wants))
     || Packet <- [<<?HEADER, ">">>, <<?HEADER, " >">>, <<?HEADER, ">\n">>, <<"<?xml version='1.0'?>", ?HEADER, ">">>,
                   <<"\n<?xml version='1.0'?>\n", ?HEADER, ">">>],
        Wants <- [true, false]].

a_self_closing_header_is_header_and_closing_tag_test_() ->
    [?_assertMatch([{xmlstreamstart, <<"stream:stream">>, _}, {xmlstreamend, <<"stream:stream">>}], events(Packet, true))
     || Packet <- [<<?HEADER, "/>">>, <<?HEADER, " />\n">>]].

a_header_with_another_prefix_is_left_to_ejabberd_to_refuse_test() ->
    Packet = <<"<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>">>,
    ?assertMatch([{xmlstreamstart, <<"s:stream">>, _}], events(Packet, true)),
    ?assertMatch([{xmlstreamerror, {_, _}}], events(Packet, false)).

the_closing_tag_ends_the_stream_test_() ->
    [?_assertEqual([{xmlstreamend, <<"stream:stream">>}], events(Packet, false))
     || Packet <- [<<"</stream:stream>">>, <<"</stream:stream >">>, <<" </stream:stream>\n">>]].

white_space_yields_no_event_test_() ->
    [?_assertEqual([], events(Packet, false)) || Packet <- [<<>>, <<" ">>, <<"\r\n\t ">>]].

a_stanza_may_use_the_prefix_of_the_stream_test() ->
    ?assertMatch([{xmlstreamelement, #xmlel{name = <<"stream:error">>, children = [#xmlel{name = <<"reset">>}]}}],
                 events(<<"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>">>, false)).

anything_but_a_single_complete_piece_is_an_error_test_() ->
    [{Packet, ?_assertMatch([{xmlstreamerror, {_, _}}], events(list_to_binary(Packet), false))}
     || Packet <- ["<message>", "<message", "</message>", "<a/><b/>", "<a/>text", "text", "<a></b>", "<a>&undefined;</a>",
                   "<!DOCTYPE a><a/>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a b='1' b='2'/>", "<x:a/>",
                   "<stream:a/><b/>", "<stream:a/></s><s>", "<stream:a/></s><stream:b/><s>", "<stream:a/>text", "</s><s>",
                   "</stream:stream><a/>", "</stream:streams>", "</stream:stream", "<?xml", "<?xml version='1.0'?><a/><b/>",
                   ?HEADER, ?HEADER "><a/>", ?HEADER "></stream:stream><a/>", "<stream:streams>"]].

%% ejabberd would log it.
anything_but_a_header_is_an_error_where_a_header_is_due_test_() ->
    [{Packet, ?_assertMatch([{xmlstreamerror, {_, _}}], events(list_to_binary(Packet), true))}
     || Packet <- ["<presence/>", "<message>text</message>", "<stream:error/>", "<s:stream xmlns:s='x'/>", "<?xml version='1.0'?><a/>", "text"]].

bytes_that_are_not_utf_8_are_no_piece_test_() ->
    [{atom_to_list(Wants), ?_assertEqual([], [Packet || Packet <- hostile:spoilt(Whole), not is_refused(events(Packet, Wants), Packet)])}
     || Whole <- [<<?HEADER, ">">>, <<?HEADER, "/> ">>, <<"<message to='a'>b</message>">>],
        Wants <- [true, false]].

%% Either an error, or the packet is white space, the closing tag or a piece, and UTF-8.
is_refused([{xmlstreamerror, {Code, Text}}], _Packet) -> is_integer(Code) andalso byte_size(Text) < 200;
is_refused(_Events, Packet) -> is_list(unicode:characters_to_list(Packet)).

the_error_for_a_large_header_that_is_not_utf_8_contains_nothing_of_it_test() ->
    Junk = binary:copy(<<"to='", 16#C3, "(' ", 16#FF>>, 30000),
    [{xmlstreamerror, {_, Text}}] = events(<<"<stream:stream ", Junk/binary, ">">>, true),
    ?assertEqual(nomatch, binary:match(Text, <<"to=">>)).

no_bytes_raise_an_exception_test_() ->
    Kinds = [binary(), hostile:bytes([<<?HEADER>>, <<">">>, <<"/>">>, <<"<stream:stream">>, <<"</stream:stream">>, <<"<?xml">>, <<"?>">>, <<"<a">>,
                                      <<"<a>">>, <<"</a>">>, <<" ">>, <<"<stream:a/>">>, <<"&#55296;">>, <<0>>])],
    [property:test(?FORALL(Packet, Kind, are_events(events(Packet, Wants))), 3000) || Kind <- Kinds, Wants <- [true, false]].

are_events(Events) ->
    lists:all(fun({xmlstreamstart, Name, Attributes}) -> is_binary(Name) andalso is_list(Attributes);
                 ({xmlstreamelement, Element}) -> is_record(Element, xmlel);
                 ({xmlstreamend, Name}) -> is_binary(Name);
                 ({xmlstreamerror, {Code, Text}}) -> is_integer(Code) andalso is_binary(Text)
              end, Events).

%% The oracle is ejabberd's stream parser: from a header, the packet and the closing tag it yields the same single element and nothing
%% else, or the packet is refused.
a_packet_yields_what_the_parser_of_a_stream_yields_test_() ->
    property:test(prop_same_as_stream(), 20000).

prop_same_as_stream() ->
    ?FORALL(Packet, packet(),
            case {events(Packet, false), parsed_in_stream(Packet)} of
                {[], [{xmlstreamend, _}]} -> true;
                {[{xmlstreamelement, Element}], [{xmlstreamelement, Element}, {xmlstreamend, _}]} -> true;
                {[{xmlstreamerror, _}], [{xmlstreamelement, _}, {xmlstreamend, _}]} -> false;
                {[{xmlstreamerror, _}], _} -> true;
                _ -> false
            end).

packet() ->
    ?LET(Parts, resize(8, non_empty(list(part()))), iolist_to_binary(Parts)).

part() ->
    oneof(["<a>", "</a>", "<a/>", "<b c='d'>", "</b>", "<stream:a>", "</stream:a>", "<stream:b/>", "text", "&amp;",
           "<![CDATA[<]]>", "<c d=\"'>\"/>", " ", "</s>", "<s>", "<!-- c -->", ">", "<", "/>"]).

parsed_in_stream(Packet) ->
    Parser = fxml_stream:new(self()),
    lists:foreach(fun(Data) -> fxml_stream:parse(Parser, Data) end, [<<?HEADER, ">">>, Packet, <<"</stream:stream>">>]),
    true = fxml_stream:close(Parser),
    [{xmlstreamstart, _, _} | Events] = parser_events(),
    [Event || Event <- Events, not is_space(Event)].

is_space({xmlstreamcdata, Text}) -> string:trim(Text) =:= <<>>;
is_space(_) -> false.

parser_events() ->
    receive
        {'$gen_event', Event} -> [Event | parser_events()];
        {'$gen_all_state_event', Event} -> [Event | parser_events()]
    after 0 -> []
    end.

output_is_encoded_as_ejabberd_encodes_it_test() ->
    ?assertEqual(<<"<a/>">>, iolist_to_binary(encode({xmlstreamelement, #xmlel{name = <<"a">>}}))),
    ?assertEqual(<<"</stream:stream>">>, iolist_to_binary(encode({xmlstreamend, <<"stream:stream">>}))),
    ?assertEqual(<<"<?xml version='1.0'?><stream:stream to='x'>">>,
                 iolist_to_binary(encode({xmlstreamstart, <<"stream:stream">>, [{<<"to">>, <<"x">>}]}))),
    ?assertEqual(<<"raw">>, iolist_to_binary(encode({xmlstreamraw, <<"raw">>}))).

%% As ejabberd_http_ws does it, for an element of the stream's own namespace with the default namespace as well: over TCP its children have that.
output_for_a_websocket_stands_by_itself_test_() ->
    [{Expected, ?_assertEqual(Expected, iolist_to_binary(encode_alone({xmlstreamelement, #xmlel{name = Name, attrs = Attributes}})))}
     || {Name, Attributes, Expected} <-
            [{<<"message">>, [{<<"to">>, <<"a">>}], <<"<message xmlns='jabber:client' to='a'/>">>},
             {<<"message">>, [{<<"xmlns">>, <<"jabber:client">>}], <<"<message xmlns='jabber:client'/>">>},
             {<<"success">>, [{<<"xmlns">>, <<"urn:ietf:params:xml:ns:xmpp-sasl">>}],
              <<"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>">>},
             {<<"stream:features">>, [],
              <<"<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'/>">>}]]
    ++ [?_assertEqual(iolist_to_binary(encode(Other)), iolist_to_binary(encode_alone(Other)))
        || Other <- [{xmlstreamstart, <<"stream:stream">>, [{<<"id">>, <<"1">>}]}, {xmlstreamend, <<"stream:stream">>},
                     {xmlstreamraw, <<" ">>}]].
