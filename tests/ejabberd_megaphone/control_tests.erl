%%% Control packets against section 4 of the link protocol.
-module(control_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(ejabberd_megaphone_control, [decode/1, encode/1, check_hello/2]).

a_hello_is_read_test() ->
    {ok, {hello, Hello}, 1} = decode(<<"{\"op\":\"hello\",\"version\":1,\"name\":\"e\",\"secret\":\"s\",\"framing\":\"stanza\","
                                       "\"maxPacket\":4096,\"more\":[]}">>),
    ?assertEqual(#{version => 1, name => <<"e">>, secret => <<"s">>, framing => <<"stanza">>, max_packet => 4096}, Hello).

a_hello_needs_no_more_than_a_version_test() ->
    {ok, {hello, Hello}, 0} = decode(<<"{\"op\":\"hello\",\"version\":1}">>),
    ?assertEqual(ok, check_hello(Hello, #options{})).

ops_are_read_test_() ->
    [{Text, ?_assertEqual({ok, Message, Ignored}, decode(list_to_binary(Text)))}
     || {Text, Message, Ignored} <-
            [{"{\"op\":\"ping\",\"token\":{\"a\":[1]}}", {ping, #{<<"a">> => [1]}}, 0},
             {"{\"op\":\"pong\",\"token\":\"x\"}", {pong, <<"x">>}, 0},
             {"{\"op\":\"pause\",\"id\":\"7\",\"reason\":\"r\",\"more\":1}", {pause, 7}, 2},
             {"{\"op\":\"resume\",\"id\":\"18446744073709551615\"}", {resume, 16#FFFFFFFFFFFFFFFF}, 0},
             {"{\"op\":\"reset\",\"id\":\"7\",\"reason\":\"r\"}", {reset, 7, <<"r">>}, 0},
             {"{\"op\":\"drain\",\"after\":1.5,\"why\":null}", {drain, 1.5}, 1},
             {"{\"op\":\"unheard-of\",\"more\":1}", ignored, 1},
             {"{\"op\":\"welcome\",\"version\":1}", ignored, 1}]].

what_is_no_control_packet_is_an_error_test_() ->
    [{Text, ?_assertMatch({error, _}, decode(list_to_binary(Text)))}
     || Text <- ["", "x", "[]", "1", "{}", "{\"op\":1}", "{\"op\":\"pause\"}", "{\"op\":\"pause\",\"id\":7}",
                 "{\"op\":\"pause\",\"id\":\"0\"}", "{\"op\":\"pause\",\"id\":\"x\"}",
                 "{\"op\":\"pause\",\"id\":\"18446744073709551616\"}",
                 "{\"op\":\"hello\"}", "{\"op\":\"hello\",\"version\":\"1\"}", "{\"op\":\"hello\",\"version\":1,\"name\":1}",
                 "{\"op\":\"hello\",\"version\":1,\"maxPacket\":32}", "{\"op\":\"reset\",\"id\":\"7\",\"reason\":1}",
                 "{\"op\":\"drain\",\"after\":\"1\"}"]].

a_control_packet_has_4096_bytes_at_most_test() ->
    Padded = fun(Size) -> <<"{\"op\":\"x\"}", (binary:copy(<<" ">>, Size - 10))/binary>> end,
    ?assertEqual({ok, ignored, 1}, decode(Padded(4096))),
    ?assertMatch({error, _}, decode(Padded(4097))).

nothing_makes_it_fail_test_() ->
    property:test(?FORALL(Content, binary(), lists:member(element(1, decode(Content)), [ok, error])), 500).

only_version_1_is_spoken_test() ->
    ?assertMatch({refuse, _}, check_hello((hello())#{version := 2}, #options{})).

bytes_are_refused_in_words_test() ->
    {refuse, Reason} = check_hello((hello())#{framing := <<"bytes">>}, #options{}),
    ?assertMatch({match, _}, re:run(Reason, "stanza")).

the_secret_must_be_the_same_test() ->
    Options = #options{secret = <<"open sesame">>},
    ?assertEqual(ok, check_hello((hello())#{secret := <<"open sesame">>}, Options)),
    [?assertMatch({refuse, _}, check_hello((hello())#{secret := Wrong}, Options))
     || Wrong <- [<<>>, <<"open sesam">>, <<"open sesame!">>, <<"Open sesame">>]].

a_secret_that_nobody_wants_is_no_error_test() ->
    ?assertEqual(ok, check_hello((hello())#{secret := <<"any">>}, #options{})).

what_is_said_can_be_read_test() ->
    ?assertEqual(#{<<"op">> => <<"welcome">>, <<"version">> => 1, <<"name">> => <<"ejabberd_megaphone">>,
                   <<"maxPacket">> => 1048576, <<"keepAlive">> => 15}, json({welcome, #options{}})),
    ?assertEqual(#{<<"op">> => <<"reset">>, <<"id">> => <<"7">>, <<"reason">> => <<"r\"">>}, json({reset, 7, <<"r\"">>})),
    ?assertEqual(#{<<"op">> => <<"pause">>, <<"id">> => <<"18446744073709551615">>}, json({pause, 16#FFFFFFFFFFFFFFFF})),
    ?assertEqual(#{<<"op">> => <<"pong">>, <<"token">> => #{<<"a">> => null}}, json({pong, #{<<"a">> => null}})).

json(Message) -> jiffy:decode(encode(Message), [return_maps]).

hello() -> #{version => 1, name => <<"e">>, secret => <<>>, framing => <<"stanza">>, max_packet => 1048576}.
