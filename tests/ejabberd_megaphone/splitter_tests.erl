%%% The splitting of a connection's bytes into packets.
-module(splitter_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-import(ejabberd_megaphone_splitter, [new/1, limit/2, add/2, next/1, incomplete_id/1]).
-import(test_link, [packet/2]).

-define(MAX, 1048576).

packets_come_out_as_they_went_in_however_the_bytes_are_cut_test_() ->
    property:test(prop_any_cut(), 300).

prop_any_cut() ->
    ?FORALL({Packets, Sizes}, {list({range(0, 1 bsl 64 - 1), binary()}), non_empty(list(range(1, 100)))},
            begin
                Bytes = iolist_to_binary([packet(Id, Content) || {Id, Content} <- Packets]),
                {Found, Splitter} = lists:foldl(fun(Piece, {Found, Splitter}) -> take(add(Piece, Splitter), Found) end,
                                                {[], new(?MAX)}, cut(Bytes, Sizes)),
                lists:reverse(Found) =:= Packets andalso next(Splitter) =:= {more, Splitter}
            end).

cut(<<>>, _Sizes) -> [];
cut(Bytes, [First | Others]) ->
    Size = min(First, byte_size(Bytes)),
    <<Piece:Size/binary, Rest/binary>> = Bytes,
    [Piece | cut(Rest, Others ++ [First])].

take(Splitter, Found) ->
    case next(Splitter) of
        {packet, Id, Content, Rest} -> take(Rest, [{Id, Content} | Found]);
        {more, Rest} -> {Found, Rest}
    end.

a_malformed_header_is_reported_with_its_place_on_the_connection_as_soon_as_its_byte_is_there_test() ->
    {[{7, <<"content">>}], Splitter} = take(add(iolist_to_binary([packet(7, <<"content">>), "00000"]), new(?MAX)), []),
    {malformed, 46, Why} = next(add(<<"00x">>, add(<<>>, Splitter))),
    ?assertMatch({match, _}, re:run(Why, "at offset 39, wrong at offset 46")).

a_limit_holds_from_the_next_packet_on_test() ->
    Long = iolist_to_binary(packet(7, binary:copy(<<"x">>, 100))),
    {packet, 7, <<>>, Splitter} = next(add(<<(iolist_to_binary(packet(7, <<>>)))/binary, Long/binary>>, new(64))),
    ?assertMatch({malformed, 41, _}, next(Splitter)),
    ?assertMatch({packet, 7, _, _}, next(limit(132, Splitter))).

the_id_of_an_incomplete_packet_is_known_when_its_header_is_complete_test() ->
    Bytes = iolist_to_binary(packet(7, <<"content">>)),
    [begin
         {more, Splitter} = next(add(binary:part(Bytes, 0, Size), new(?MAX))),
         ?assertEqual({Size, if Size < 32 -> unknown; true -> 7 end}, {Size, incomplete_id(Splitter)})
     end || Size <- lists:seq(1, byte_size(Bytes) - 1)].

%% It would otherwise be copied with each of its pieces.
a_long_packet_is_put_together_once_test() ->
    Size = 4 bsl 20,
    Bytes = iolist_to_binary(packet(7, <<0:(Size * 8)>>)),
    {Time, {Found, _}} = timer:tc(fun() ->
        lists:foldl(fun(Piece, {Found, Splitter}) -> take(add(Piece, Splitter), Found) end, {[], new(8 bsl 20)}, cut(Bytes, [1000])) end),
    ?assertMatch([{7, _}], Found),
    ?assert(Time < 2000000).
