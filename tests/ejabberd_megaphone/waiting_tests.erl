%%% Which connection has to go when too many have not become a link.
-module(waiting_tests).

-include_lib("eunit/include/eunit.hrl").
-import(ejabberd_megaphone_waiting, [new/0, add/3, remove/2, take_excess/1]).

-define(MAX, 256).

few_stay_test() ->
    ?assertEqual(none, take_excess(new())),
    {_, Full} = from({{192, 0, 2, 1}, 1}, ?MAX, new()),
    ?assertEqual(none, take_excess(Full)).

the_oldest_from_the_address_with_the_most_goes_test() ->
    {[First | _], Waiting0} = from({{192, 0, 2, 1}, 1}, 3, new()),
    {[Oldest, Second | _], Waiting1} = from({{192, 0, 2, 2}, 1}, ?MAX - 3, Waiting0),
    {_, Waiting2} = from({{192, 0, 2, 3}, 1}, 2, Waiting1),
    {Gone, Waiting3} = take_excess(Waiting2),
    ?assertEqual(Oldest, Gone),
    {AlsoGone, Waiting4} = take_excess(Waiting3),
    ?assertEqual(Second, AlsoGone),
    ?assertEqual(none, take_excess(Waiting4)),
    ?assertNotEqual(First, Gone).

of_equally_many_it_is_the_oldest_of_all_test() ->
    {[Oldest | _], Half} = from({{192, 0, 2, 1}, 1}, ?MAX div 2, new()),
    {_, Full} = from({{192, 0, 2, 2}, 1}, ?MAX div 2, Half),
    {_, TooMany} = from({local, <<"/run/link">>}, 1, Full),
    ?assertMatch({Oldest, _}, take_excess(TooMany)).

an_IPv6_network_is_one_address_test() ->
    {_, Others} = from({{192, 0, 2, 1}, 1}, ?MAX div 2, new()),
    {Network, TooMany} =
        lists:foldl(fun(Host, {Pids, Waiting}) ->
                            {[Pid], Next} = from({{16#2001, 16#db8, 0, 1, 0, 0, 0, Host}, 1}, 1, Waiting),
                            {[Pid | Pids], Next}
                    end, {[], Others}, lists:seq(1, ?MAX div 2 + 1)),
    {Gone, _} = take_excess(TooMany),
    ?assertEqual(lists:last(Network), Gone).

who_has_gone_leaves_nothing_behind_test() ->
    {Pids, Waiting} = from({{192, 0, 2, 1}, 1}, 10, new()),
    Empty = lists:foldl(fun ejabberd_megaphone_waiting:remove/2, Waiting, Pids ++ Pids),
    {_, Full} = from({{192, 0, 2, 2}, 1}, ?MAX, Empty),
    ?assertEqual(none, take_excess(Full)).

from(Peer, Count, Waiting) ->
    Pids = [spawn(fun() -> ok end) || _ <- lists:seq(1, Count)],
    {Pids, lists:foldl(fun(Pid, Before) -> add(Pid, Peer, Before) end, Waiting, Pids)}.
