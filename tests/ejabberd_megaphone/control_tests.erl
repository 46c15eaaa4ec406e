%%% Control packets, as section 4 of the link protocol defines them.
-module(control_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(ejabberd_megaphone_control, [decode/1, encode/1, is_secret/2, check_hello/1]).

a_hello_is_parsed_test() ->
    {ok, {hello, Hello}, 1} = decode(<<"{\"op\":\"hello\",\"version\":1,\"name\":\"e\",\"secret\":\"s\",\"framing\":\"stanza\","
                                       "\"maxPacket\":4096,\"more\":[]}">>),
    ?assertEqual(#{version => 1, name => <<"e">>, sent_name => <<"e">>, secret => <<"s">>, framing => <<"stanza">>, max_packet => 4096,
                   resume => none}, Hello).

a_hello_needs_no_more_than_a_version_test() ->
    {ok, {hello, Hello}, 0} = decode(<<"{\"op\":\"hello\",\"version\":1}">>),
    ?assertEqual(ok, check_hello(Hello)).

ops_are_parsed_test_() ->
    [{Text, ?_assertEqual({ok, Message, Ignored}, decode(list_to_binary(Text)))}
     || {Text, Message, Ignored} <-
            [{"{\"op\":\"ping\",\"token\":{\"a\":[1]}}", {ping, #{<<"a">> => [1]}}, 0},
             {"{\"op\":\"pong\",\"token\":\"x\"}", {pong, <<"x">>}, 0},
             {"{\"op\":\"pause\",\"id\":\"7\",\"reason\":\"r\",\"more\":1}", {pause, 7}, 2},
             {"{\"op\":\"resume\",\"id\":\"18446744073709551615\"}", {resume, 16#FFFFFFFFFFFFFFFF}, 0},
             {"{\"op\":\"reset\",\"id\":\"7\",\"reason\":\"r\"}", {reset, 7, <<"r">>}, 0},
             {"{\"op\":\"drain\",\"after\":1.5,\"why\":null}", {drain, 1.5}, 1},
             {"{\"op\":\"ack\",\"received\":\"9223372036854775807\"}", {ack, 9223372036854775807}, 0},
             {"{\"op\":\"close\",\"reason\":\"r\",\"more\":1}", {close, <<"r">>}, 1},
             {"{\"op\":\"unheard-of\",\"more\":1}", ignored, 1},
             {"{\"op\":\"welcome\",\"version\":1}", ignored, 1}]].

anything_but_a_control_packet_is_an_error_test_() ->
    [{Text, ?_assertMatch({error, _}, decode(list_to_binary(Text)))}
     || Text <- ["", "x", "[]", "1", "{}", "{\"op\":1}", "{\"op\":\"pause\"}", "{\"op\":\"pause\",\"id\":7}",
                 "{\"op\":\"pause\",\"id\":\"0\"}", "{\"op\":\"pause\",\"id\":\"x\"}",
                 "{\"op\":\"pause\",\"id\":\"18446744073709551616\"}",
                 "{\"op\":\"hello\"}", "{\"op\":\"hello\",\"version\":\"1\"}", "{\"op\":\"hello\",\"version\":1,\"name\":1}",
                 "{\"op\":\"hello\",\"version\":1,\"maxPacket\":32}", "{\"op\":\"reset\",\"id\":\"7\",\"reason\":1}",
                 "{\"op\":\"drain\",\"after\":\"1\"}", "{\"op\":\"ack\"}", "{\"op\":\"ack\",\"received\":1}", "{\"op\":\"ack\",\"received\":\"-1\"}",
                 "{\"op\":\"ack\",\"received\":\"9223372036854775808\"}", "{\"op\":\"close\",\"reason\":1}",
                 "{\"op\":\"hello\",\"version\":1,\"resume\":[]}", "{\"op\":\"hello\",\"version\":1,\"resume\":{\"slot\":\"0\"}}",
                 "{\"op\":\"hello\",\"version\":1,\"resume\":{\"received\":7}}", "{\"op\":\"hello\",\"version\":1,\"resume\":{\"window\":0}}"]].

what_a_hello_offers_for_resumption_is_parsed_test_() ->
    [{Json, fun() ->
        {ok, {hello, #{resume := Offer}}, Ignored} = decode(list_to_binary(["{\"op\":\"hello\",\"version\":1,\"resume\":", Json, "}"])),
        ?assertEqual({Expected, Unknown}, {Offer, Ignored})
     end} || {Json, Expected, Unknown} <-
                 [{"{\"instance\":\"i\",\"slot\":0,\"window\":1}", #{instance => <<"i">>, slot => 0, window => 1}, 0},
                  {"{\"instance\":\"i\",\"slot\":7,\"window\":9,\"token\":\"t\",\"received\":\"40\",\"more\":1}",
                   #{instance => <<"i">>, slot => 7, window => 9, token => <<"t">>, received => 40}, 1},
                  {"{\"instance\":\"i\",\"slot\":0,\"window\":1,\"token\":null}", #{instance => <<"i">>, slot => 0, window => 1}, 0},
                  {"{\"instance\":\"i\",\"window\":1}", none, 0},
                  {"null", none, 0}]].

an_instance_or_a_token_has_64_characters_at_most_test() ->
    Hello = fun(Size) ->
                    Token = lists:duplicate(Size, $x),
                    decode(iolist_to_binary(["{\"op\":\"hello\",\"version\":1,\"resume\":{\"token\":\"", Token, "\"}}"]))
            end,
    ?assertMatch({ok, _, 0}, Hello(64)),
    ?assertMatch({error, _}, Hello(65)).

a_control_packet_has_4096_bytes_at_most_test() ->
    Padded = fun(Size) -> <<"{\"op\":\"x\"}", (binary:copy(<<" ">>, Size - 10))/binary>> end,
    ?assertEqual({ok, ignored, 1}, decode(Padded(4096))),
    ?assertMatch({error, _}, decode(Padded(4097))).

%% It is written to the log and listed by a command.
the_name_in_a_hello_is_sanitized_test() ->
    Name = fun(Json) ->
                   {ok, {hello, #{name := Name}}, 0} = decode(<<"{\"op\":\"hello\",\"version\":1,\"name\":\"", Json/binary, "\"}">>),
                   Name
           end,
    ?assertEqual(<<"edge?2026-01-01 [error] forged">>, Name(<<"edge\\n2026-01-01 [error] forged">>)),
    ?assertEqual(<<"a????b">>, Name(<<"a\\u0085\\u2028\\u202e\\u0000b">>)),
    ?assertEqual(<<"Zürich"/utf8>>, Name(<<"Zürich"/utf8>>)),
    ?assertEqual(200, byte_size(Name(binary:copy(<<"x">>, 1000)))).

the_max_packet_of_a_hello_is_at_most_what_a_packet_header_can_express_test() ->
    {ok, {hello, #{max_packet := Max}}, 0} =
        decode(<<"{\"op\":\"hello\",\"version\":1,\"maxPacket\":1", (binary:copy(<<"0">>, 4000))/binary, "}">>),
    ?assertEqual(9999999999, Max).

no_bytes_raise_an_exception_test_() ->
    [property:test(?FORALL(Content, Kind, is_decoded(Content)), 1000)
     || Kind <- [binary(), hostile:bytes([<<"{">>, <<"}">>, <<"\"op\":">>, <<"\"hello\"">>, <<"\"version\":1">>, <<"\"name\":">>,
                                          <<"\"reset\"">>, <<"\"id\":">>, <<"\"7\"">>, <<"\"reason\":">>, <<",">>, <<"\"">>,
                                          <<"\\ud800">>, <<"1e999">>, <<"null">>, <<"[">>])]].

bytes_that_are_not_utf_8_raise_no_exception_wherever_they_are_test() ->
    [?assert(is_decoded(Content))
     || Whole <- [<<"{\"op\":\"hello\",\"version\":1,\"name\":\"edge\",\"secret\":\"s\"}">>, <<"{\"op\":\"reset\",\"id\":\"7\",\"reason\":\"r\"}">>],
        Content <- hostile:spoilt(Whole)].

%% And a token, which is returned, can be encoded again.
is_decoded(Content) ->
    case decode(Content) of
        {ok, {ping, Token}, _} -> is_binary(encode({pong, Token}));
        {ok, {hello, #{name := Name}}, _} -> is_list(unicode:characters_to_list(Name));
        {ok, _, _} -> true;
        {error, Why} -> io_lib:printable_list(Why)
    end.

any_token_can_be_returned_test_() ->
    [{Json, ?_assert(is_decoded(list_to_binary(["{\"op\":\"ping\",\"token\":", Json, "}"])))}
     || Json <- ["\"\\ud800\"", "\"\\udfff\\ud800\"", "\"\\ud83d\\ude00\"", "\"\\u0000\\u001f\\u007f\"", "1e308", "1e309", "-0.0", "[[[[]]]]",
                 "{\"\":{\"\":1}}", lists:duplicate(300, $9), "\"\\uffff\\ufffe\""]].

other_versions_than_1_are_refused_test() ->
    ?assertMatch({refuse, _}, check_hello((hello())#{version := 2})).

bytes_framing_is_refused_with_a_reason_test() ->
    {refuse, Reason} = check_hello((hello())#{framing := <<"bytes">>}),
    ?assertMatch({match, _}, re:run(Reason, "stanza")).

the_secret_must_be_the_same_test() ->
    Options = #options{secret = <<"open sesame">>},
    ?assert(is_secret((hello())#{secret := <<"open sesame">>}, Options)),
    [?assertNot(is_secret((hello())#{secret := Wrong}, Options))
     || Wrong <- [<<>>, <<"open sesam">>, <<"open sesame!">>, <<"Open sesame">>]].

a_secret_that_is_not_required_is_no_error_test() ->
    ?assert(is_secret((hello())#{secret := <<"any">>}, #options{})).

encoded_messages_are_as_specified_test() ->
    ?assertEqual(#{<<"op">> => <<"welcome">>, <<"version">> => 1, <<"name">> => atom_to_binary(node()),
                   <<"maxPacket">> => 1048576, <<"keepAlive">> => 15, <<"logins">> => true, <<"pieces">> => true},
                 json({welcome, #options{}, true, none})),
    ?assertEqual(#{<<"op">> => <<"loggedIn">>, <<"ids">> => [<<"7">>]}, json({logged_in, 7})),
    ?assertEqual(#{<<"op">> => <<"drain">>}, json(drain)),
    ?assertEqual(#{<<"op">> => <<"gone">>, <<"name">> => <<"b@b">>}, json({gone, 'b@b'})),
    ?assertEqual(#{<<"op">> => <<"ack">>, <<"received">> => <<"9223372036854775807">>}, json({ack, 9223372036854775807})),
    ?assertEqual(#{<<"op">> => <<"close">>, <<"reason">> => <<"r">>}, json({close, <<"r">>})),
    ?assertMatch(#{<<"resume">> := #{<<"token">> := <<"t">>, <<"timeout">> := 90, <<"window">> := 2097152, <<"received">> := <<"7">>}},
                 json({welcome, #options{}, false, #{token => <<"t">>, timeout => 90000, received => 7}})),
    ?assertEqual(#{<<"op">> => <<"reset">>, <<"id">> => <<"7">>, <<"reason">> => <<"r\"">>}, json({reset, 7, <<"r\"">>})),
    ?assertEqual(#{<<"op">> => <<"pause">>, <<"id">> => <<"18446744073709551615">>}, json({pause, 16#FFFFFFFFFFFFFFFF})),
    ?assertEqual(#{<<"op">> => <<"pong">>, <<"token">> => #{<<"a">> => null}}, json({pong, #{<<"a">> => null}})).

json(Message) -> ejabberd_megaphone_json:decode(encode(Message)).

hello() -> #{version => 1, name => <<"e">>, sent_name => <<"e">>, resume => none, secret => <<>>, framing => <<"stanza">>, max_packet => 1048576}.
