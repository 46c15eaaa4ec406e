%%% The backlog of sessions that do not keep up.
-module(backlog_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-import(ejabberd_megaphone_backlog, [new/0, is_member/2, add/2, put/4, take/3, delete/2]).

-define(KIB, 1024).
-define(HEADER, 32).

a_session_is_a_member_from_when_it_is_added_until_its_last_packet_is_taken_test() ->
    ?assertNot(is_member(7, new())),
    {ok, Backlog} = put(7, <<"a">>, true, add(7, new())),
    ?assert(is_member(7, Backlog)),
    ?assertNot(is_member(8, Backlog)),
    {done, [<<"a">>], Rest} = take(7, 64, Backlog),
    ?assertNot(is_member(7, Rest)).

the_client_is_asked_to_pause_once_and_to_resume_when_nothing_is_left_test() ->
    Packet = binary:copy(<<"x">>, 10 * ?KIB),
    {Results, Backlog} = lists:mapfoldl(fun(_, Backlog) -> put(7, Packet, true, Backlog) end, add(7, new()), lists:seq(1, 10)),
    ?assertEqual([ok, ok, ok, ok, ok, ok, pause, ok, ok, ok], Results),
    {more, [_, _, _], Backlog2} = take(7, 3, Backlog),
    {resume, Left, _} = take(7, 64, Backlog2),
    ?assertEqual(7, length(Left)).

a_client_of_a_link_without_control_is_not_asked_test() ->
    {ok, Backlog} = put(7, binary:copy(<<"x">>, 100 * ?KIB), false, add(7, new())),
    ?assertMatch({done, [_], _}, take(7, 1, Backlog)).

no_session_has_more_than_16_mib_including_headers_and_each_has_its_own_test() ->
    Most = 16 * ?KIB * ?KIB,
    {pause, Full} = put(7, binary:copy(<<"x">>, Most - ?HEADER), true, add(7, new())),
    ?assertEqual(full, put(7, <<>>, true, Full)),
    ?assertMatch({ok, _}, put(8, <<>>, true, add(8, Full))),
    {Most, Others} = delete(7, Full),
    ?assertEqual({0, Others}, delete(7, Others)).

packets_are_taken_in_order_and_counted_test_() ->
    property:test(prop_order(), 300).

prop_order() ->
    ?FORALL({Sizes, Counts}, {list(range(0, 5000)), list(range(0, 20))},
            begin
                Packets = [<<N:32, 0:(Size * 8)>> || {N, Size} <- lists:zip(lists:seq(1, length(Sizes)), Sizes)],
                Backlog = lists:foldl(fun(Packet, Backlog) -> element(2, put(7, Packet, true, Backlog)) end, add(7, new()), Packets),
                {Taken, Rest} = lists:foldl(fun some/2, {[], Backlog}, Counts),
                Left = lists:nthtail(length(Taken), Packets),
                {Bytes, _} = delete(7, Rest),
                lists:prefix(Taken, Packets) andalso Bytes =:= lists:sum([byte_size(Packet) + ?HEADER || Packet <- Left])
            end).

some(Count, {Taken, Backlog}) ->
    case is_member(7, Backlog) of
        true ->
            {_After, Packets, Rest} = take(7, Count, Backlog),
            {Taken ++ Packets, Rest};
        false ->
            {Taken, Backlog}
    end.
