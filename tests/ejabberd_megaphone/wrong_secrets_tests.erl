%%% What wrong secrets cost the addresses that they come from. Times are ms.
-module(wrong_secrets_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-import(ejabberd_megaphone_wrong_secrets, [new/0, attempt/4]).

-define(PEER, {{192, 0, 2, 7}, 1}).
-define(OTHER, {{192, 0, 2, 8}, 1}).

the_right_secret_is_never_delayed_where_no_wrong_one_came_from_test() ->
    {Turns, Guesses} = attempts([{?PEER, true, 0} || _ <- lists:seq(1, 1000)], new()),
    ?assertEqual([now], lists:usort(Turns)),
    ?assertEqual(0, ejabberd_megaphone_wrong_secrets:size(Guesses)).

%% All at the same time: one is free, four wait for their turns, a second apart, and the others are not looked at.
of_a_thousand_at_once_one_is_free_test() ->
    {Turns, _} = attempts([{?PEER, false, 0} || _ <- lists:seq(1, 1000)], new()),
    ?assertEqual([now] ++ [{wait, Second * 1000} || Second <- lists:seq(1, 4)] ++ lists:duplicate(995, too_many), Turns).

%% As fast as it may: what is refused unlooked at costs nothing more.
there_is_one_in_a_second_however_many_are_tried_test() ->
    {Turns, _} = attempts([{?PEER, false, At} || At <- lists:seq(0, 99999, 10)], new()),
    ?assert(length([Turn || Turn <- Turns, Turn =/= too_many]) =< 1 + 100 + 4).

%% Nothing may be learned from what becomes of it before it is its turn.
a_right_secret_waits_like_a_wrong_one_where_wrong_ones_came_from_test() ->
    Before = [{?PEER, false, 0} || _ <- lists:seq(1, 3)],
    {Right, AfterRight} = attempts(Before ++ [{?PEER, true, 0}], new()),
    {Wrong, AfterWrong} = attempts(Before ++ [{?PEER, false, 0}], new()),
    ?assertEqual(Right, Wrong),
    ?assertEqual(AfterRight, AfterWrong).

after_a_second_without_any_it_is_forgotten_test() ->
    {_, Guesses} = attempts([{?PEER, false, 0}], new()),
    ?assertMatch({{wait, 1}, _}, attempt(?PEER, true, 999, Guesses)),
    {now, Empty} = attempt(?PEER, true, 1000, Guesses),
    ?assertEqual(0, ejabberd_megaphone_wrong_secrets:size(Empty)).

other_addresses_do_not_wait_test() ->
    {_, Guesses} = attempts([{?PEER, false, 0} || _ <- lists:seq(1, 100)], new()),
    ?assertMatch({now, _}, attempt(?OTHER, true, 0, Guesses)),
    ?assertMatch({now, _}, attempt(?OTHER, false, 0, Guesses)).

a_port_is_nobody_and_an_ipv6_network_is_one_test_() ->
    [{lists:flatten(io_lib:format("~0p ~0p", [One, Other])),
      ?_assertMatch({Turn, _}, attempt(Other, true, 0, element(2, attempt(One, false, 0, new()))))}
     || {Turn, One, Other} <-
            [{{wait, 1000}, ?PEER, {{192, 0, 2, 7}, 2}},
             {{wait, 1000}, {{16#2001, 16#db8, 0, 1, 0, 0, 0, 7}, 1}, {{16#2001, 16#db8, 0, 1, 1, 2, 3, 4}, 2}},
             {now, {{16#2001, 16#db8, 0, 1, 0, 0, 0, 7}, 1}, {{16#2001, 16#db8, 0, 2, 0, 0, 0, 7}, 1}},
             %% IPv4 on a socket of IPv6 is IPv4.
             {{wait, 1000}, ?PEER, {{0, 0, 0, 0, 0, 16#FFFF, 16#C000, 16#0207}, 1}},
             {now, ?OTHER, {{0, 0, 0, 0, 0, 16#FFFF, 16#C000, 16#0207}, 1}},
             {{wait, 1000}, {local, <<>>}, {local, <<"path">>}}]].

%% Those whose time is up first are forgotten when there are too many.
the_table_is_bounded_test() ->
    Peer = fun(Nth) -> {{10, 0, Nth div 256, Nth rem 256}, 1} end,
    Longest = [{Peer(0), false, 0} || _ <- lists:seq(1, 5)],
    {_, Guesses} = attempts(Longest ++ [{Peer(Nth), false, 0} || Nth <- lists:seq(1, 10000)], new()),
    ?assertEqual(4096, ejabberd_megaphone_wrong_secrets:size(Guesses)),
    ?assertMatch({too_many, _}, attempt(Peer(0), true, 0, Guesses)).

%% However many come, from however many addresses: no address has more turns than seconds, and one; nobody waits longer than 4 s; and
%% what is kept is of the last 9 s.
every_address_pays_test_() ->
    property:test(?FORALL(Steps, list({range(1, 3), boolean(), range(0, 900)}), pays(Steps)), 300).

pays(Steps) ->
    {Attempts, End} = lists:mapfoldl(fun({Host, IsRight, Pause}, Now) -> {{{{10, 0, 0, Host}, 1}, IsRight, Now}, Now + Pause} end, 0, Steps),
    {Turns, _} = attempts(Attempts, new()),
    Looked = [{Peer, At + wait(Turn)} || {{Peer, false, At}, Turn} <- lists:zip(Attempts, Turns), Turn =/= too_many],
    lists:all(fun({wait, Time}) -> Time > 0 andalso Time =< 4000; (_) -> true end, Turns)
        andalso lists:all(fun(Host) -> length([At || {{{_, _, _, H}, _}, At} <- Looked, H =:= Host]) =< 10 + End div 1000 end, [1, 2, 3])
        andalso lists:all(fun(Host) -> apart(lists:sort([At || {{{_, _, _, H}, _}, At} <- Looked, H =:= Host])) end, [1, 2, 3]).

apart([One, Other | Rest]) -> Other - One >= 1000 andalso apart([Other | Rest]);
apart(_) -> true.

wait({wait, Time}) -> Time;
wait(now) -> 0.

attempts(Attempts, Guesses) ->
    lists:mapfoldl(fun({Peer, IsRight, Now}, Before) -> attempt(Peer, IsRight, Now, Before) end, Guesses, Attempts).
