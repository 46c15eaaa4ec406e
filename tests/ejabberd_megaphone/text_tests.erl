%%% Text from a socket, on its way to the log.
-module(text_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-import(ejabberd_megaphone_text, [sanitize/1, term/1, failure/3]).

harmless_characters_stay_test_() ->
    [?_assertEqual(Text, sanitize(Text)) || Text <- [<<>>, <<"edge 1 \"~p\" (eu)">>, <<"Zürich, 東京, 😀"/utf8>>]].

characters_that_break_or_reorder_a_line_are_replaced_test_() ->
    [?_assertEqual(<<"a?b">>, sanitize(<<"a", Character/utf8, "b">>))
     || Character <- [0, $\b, $\t, $\n, $\r, 16#1B, 16#7F, 16#80, 16#85, 16#9B, 16#9F, 16#61C, 16#200E, 16#200F, 16#2028, 16#2029,
                      16#202A, 16#202E, 16#2066, 16#2069]].

bytes_that_are_not_utf_8_are_replaced_test_() ->
    [?_assertEqual(<<"a??b">>, sanitize(<<"a", 16#C3, 16#FF, "b">>)),
     ?_assertEqual(<<"a??">>, sanitize(<<"a", 16#E2, 16#82>>)),
     ?_assertEqual(<<"a???b">>, sanitize(<<"a", 16#ED, 16#A0, 16#80, "b">>)),
     ?_assertEqual(<<"ab?">>, sanitize(["a", <<"b">>, <<16#FF>>, "c"]))].

a_text_is_truncated_to_200_characters_test() ->
    ?assertEqual(binary:copy(<<"ü"/utf8>>, 200), sanitize(binary:copy(<<"ü"/utf8>>, 100000))).

%% io_lib raises an exception for bytes that are not UTF-8.
any_text_can_be_written_as_one_line_test_() ->
    property:test(?FORALL(Said, hostile:bytes([<<"\n">>, <<"text">>, <<"ü"/utf8>>]),
                          begin
                              Line = unicode:characters_to_list(io_lib:format("~ts", [sanitize(Said)])),
                              is_list(Line) andalso length(Line) =< 200 andalso not lists:any(fun(C) -> C < 32 end, Line)
                          end), 1000).

an_exception_is_described_without_the_terms_in_it_test() ->
    Packet = binary:copy(<<"<message>\n", 16#FF>>, 100000),
    Stack = [{string, trim, [Packet, trailing], [{file, "string.erl"}, {line, 7}]}, {other, function, 1, []}],
    ?assertEqual(<<"error badmatch in string:trim/2">>, failure(error, {badmatch, Packet}, Stack)),
    ?assertEqual(<<"exit noproc in other:function/1">>, failure(exit, noproc, tl(Stack))),
    ?assertEqual(<<"throw without a name">>, failure(throw, Packet, [])).

a_long_term_is_truncated_while_it_is_written_test() ->
    Term = {error, binary:copy(<<"x">>, 50000000)},
    {Time, Text} = timer:tc(fun() -> term(Term) end),
    ?assert(byte_size(Text) < 200),
    ?assert(Time < 2000000).
