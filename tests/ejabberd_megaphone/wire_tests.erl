%%% Packets, as section 1 of the link protocol defines them.
-module(wire_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-import(ejabberd_megaphone_wire, [parse/2, packets/3, whole_piece/3, describe/4]).

-define(MAX, 1048576).
-define(MAX_ID, 16#FFFFFFFFFFFFFFFF).

the_packet_of_the_specification_is_parsed_test() ->
    ?assertEqual({packet, 7, <<"PRESENCE!">>, <<>>}, parse(<<"0000000041|00000000000000000007|PRESENCE!">>, ?MAX)).

the_packet_of_the_specification_is_written_test() ->
    ?assertEqual({41, <<"0000000041|00000000000000000007|PRESENCE!">>}, written(7, <<"PRESENCE!">>, ?MAX)).

an_empty_packet_is_only_its_header_test() ->
    ?assertEqual({32, <<"0000000032|00000000000000000009|">>}, written(9, <<>>, ?MAX)),
    ?assertEqual({packet, 9, <<>>, <<"rest">>}, parse(<<"0000000032|00000000000000000009|rest">>, ?MAX)).

ids_have_64_bits_test_() ->
    [?_assertEqual({packet, Id, <<"x">>, <<>>}, parse(element(2, written(Id, <<"x">>, ?MAX)), ?MAX))
     || Id <- [0, 1, 1 bsl 31, 1 bsl 32, (1 bsl 59) - 1, 1 bsl 59, 1 bsl 63, ?MAX_ID]].

%% Each fault, with the byte at which it is found.
malformed_headers_are_refused_test_() ->
    [{Header, ?_assertEqual({malformed, At, Fault}, parse(list_to_binary(Header), 4096))}
     || {Header, At, Fault} <-
            [{"x", 0, length_digit},
             {"000000004 ", 9, length_digit},
             {"-000000041", 0, length_digit},
             {"+000000041", 0, length_digit},
             {"0000000000", 9, length_below_header},
             {"0000000031", 9, length_below_header},
             {"0000004097", 9, length_above_limit},
             {"9999999999", 9, length_above_limit},
             {"00000000410", 10, length_separator},
             {"0000000041:", 10, length_separator},
             {"0000000041|x", 11, id_digit},
             {"0000000041|0000000000000000000|", 30, id_digit},
             {"0000000041|-0000000000000000007", 11, id_digit},
             {"0000000041|18446744073709551616", 30, id_too_large},
             {"0000000041|99999999999999999999", 30, id_too_large},
             {"0000000041|00000000000000000007 ", 31, id_separator},
             {"0000000041|000000000000000000070", 31, id_separator}]].

lengths_at_the_limits_are_accepted_test_() ->
    [?_assertMatch({packet, 1, _, <<>>}, parse(element(2, written(1, binary:copy(<<"x">>, Length - 32), ?MAX)), 4096))
     || Length <- [32, 33, 4095, 4096]].

an_incomplete_packet_is_waited_for_whatever_its_length_test() ->
    ?assertEqual({more, 9999999999}, parse(<<"9999999999|00000000000000000001|x">>, 9999999999)).

a_fault_is_described_with_its_place_on_the_connection_and_the_header_test() ->
    Line = lists:flatten(describe(length_digit, 3, 1000, {<<"00\"", 255, "rest">>, 4096})),
    ?assertMatch({match, _}, re:run(Line, "at offset 1000, wrong at offset 1003")),
    ?assertMatch({match, _}, re:run(Line, "received \"00\\\\x22\\\\xff\"$")).

a_limit_that_is_exceeded_is_named_test() ->
    ?assertMatch({match, _}, re:run(describe(length_above_limit, 9, 0, {<<"0000004097">>, 4096}), "at most 4096")).

%%% Properties

packets_come_out_as_they_went_in_wherever_the_stream_is_cut_test_() ->
    property:test(prop_any_cut(), 300).

prop_any_cut() ->
    ?FORALL({Packets, Seed}, {list({id(), binary()}), pos_integer()},
            begin
                Stream = iolist_to_binary([element(2, packets(Id, Content, ?MAX)) || {Id, Content} <- Packets]),
                _ = rand:seed(exsss, Seed),
                Packets =:= read(cut(Stream), <<>>, [])
            end).

every_split_point_of_a_stream_gives_the_same_test() ->
    Packets = [{1, <<"one">>}, {?MAX_ID, <<>>}, {7, binary:copy(<<"|0123456789">>, 5)}],
    Stream = iolist_to_binary([element(2, packets(Id, Content, ?MAX)) || {Id, Content} <- Packets]),
    [?assertEqual(Packets, read([binary:part(Stream, 0, At), binary:part(Stream, At, byte_size(Stream) - At)], <<>>, []))
     || At <- lists:seq(0, byte_size(Stream))].

%% However much has arrived: a fault is found as soon as its byte is there, and not before.
a_fault_is_found_at_its_byte_test_() ->
    property:test(prop_fault_at_its_byte(), 1000).

prop_fault_at_its_byte() ->
    ?FORALL({Id, At, Byte}, {id(), range(0, 31), byte()},
            begin
                <<Before:At/binary, _, After/binary>> = element(2, written(Id, <<"content">>, ?MAX)),
                Stream = <<Before/binary, Byte, After/binary>>,
                case parse(Stream, ?MAX) of
                    {malformed, Where, Fault} ->
                        Where >= At
                            andalso {malformed, Where, Fault} =:= parse(binary:part(Stream, 0, Where + 1), ?MAX)
                            andalso {more, 32} =:= parse(binary:part(Stream, 0, Where), ?MAX);
                    _ -> true
                end
            end).

content_above_the_limit_of_the_peer_is_sent_in_pieces_test_() ->
    property:test(prop_pieces(), 300).

prop_pieces() ->
    ?FORALL({Id, Content, Max}, {id(), binary(), range(33, 64)},
            begin
                {Bytes, Stream} = written(Id, Content, Max),
                Read = read([Stream], <<>>, []),
                Bytes =:= byte_size(Stream)
                    andalso Content =:= << <<Piece/binary>> || {_, Piece} <- Read >>
                    andalso lists:all(fun({I, Piece}) -> I =:= Id andalso byte_size(Piece) + 32 =< Max end, Read)
                    andalso (Content =:= <<>> orelse not lists:member({Id, <<>>}, Read))
            end).

%% A packet of exactly so many bytes goes on in the next one: so the pieces are found again.
whole_pieces_are_found_again_whatever_their_lengths_test_() ->
    property:test(prop_whole_pieces(), 1000).

prop_whole_pieces() ->
    ?FORALL({Id, Pieces, Max}, {id(), list(piece()), range(64, 70)},
            begin
                Written = [whole_piece(Id, Piece, Max) || Piece <- Pieces],
                Packets = read([iolist_to_binary([Packets || {_, Packets} <- Written])], <<>>, []),
                lists:sum([Bytes || {Bytes, _} <- Written]) =:= lists:sum([byte_size(Content) + 32 || {_, Content} <- Packets])
                    andalso Pieces =:= joined([Content || {_, Content} <- Packets], Max, <<>>)
            end).

piece() -> ?LET({Size, Byte}, {range(1, 200), range($a, $z)}, binary:copy(<<Byte>>, Size)).

joined([], _Max, <<>>) -> [];
joined([<<$\s>> | Rest], Max, Before) when Before =/= <<>> -> [Before | joined(Rest, Max, <<>>)];
joined([Content | Rest], Max, Before) when byte_size(Content) + 32 =:= Max -> joined(Rest, Max, <<Before/binary, Content/binary>>);
joined([Content | Rest], Max, Before) -> [<<Before/binary, Content/binary>> | joined(Rest, Max, <<>>)].

the_end_of_a_session_is_followed_by_nothing_test() ->
    {32, Packet} = whole_piece(9, <<>>, 64),
    ?assertEqual(<<"0000000032|00000000000000000009|">>, iolist_to_binary(Packet)).

id() -> oneof([range(1, 1000), range(0, ?MAX_ID), ?MAX_ID]).

written(Id, Content, Max) ->
    {Bytes, Packets} = packets(Id, Content, Max),
    {Bytes, iolist_to_binary(Packets)}.

cut(<<>>) -> [];
cut(Stream) ->
    Size = min(byte_size(Stream), rand:uniform(40)),
    <<Piece:Size/binary, Rest/binary>> = Stream,
    [Piece | cut(Rest)].

read(Pieces, Tail, Packets) ->
    case parse(Tail, ?MAX) of
        {packet, Id, Content, Rest} -> read(Pieces, Rest, [{Id, Content} | Packets]);
        {more, _} when Pieces =/= [] -> read(tl(Pieces), <<Tail/binary, (hd(Pieces))/binary>>, Packets);
        {more, _} when Tail =:= <<>> -> lists:reverse(Packets)
    end.
