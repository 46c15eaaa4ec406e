%%% The delay that wrong secrets impose on their addresses. Times are in ms.
-module(wrong_secrets_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-import(ejabberd_megaphone_wrong_secrets, [new/0, attempt/4]).

-define(PEER, {{192, 0, 2, 7}, 1}).
-define(OTHER, {{192, 0, 2, 8}, 1}).

the_right_secret_is_not_delayed_at_an_address_without_wrong_ones_test() ->
    {Turns, WrongSecrets} = attempts([{?PEER, true, 0} || _ <- lists:seq(1, 1000)], new()),
    ?assertEqual([now], lists:usort(Turns)),
    ?assertEqual(0, ejabberd_megaphone_wrong_secrets:size(WrongSecrets)).

%% One is free, four wait for their turns, a second apart, and the others are not looked at.
of_a_thousand_at_the_same_time_one_is_free_test() ->
    {Turns, _} = attempts([{?PEER, false, 0} || _ <- lists:seq(1, 1000)], new()),
    ?assertEqual([now] ++ [{wait, Second * 1000} || Second <- lists:seq(1, 4)] ++ lists:duplicate(995, too_many), Turns).

%% Those that are not looked at cause no further delay.
one_in_a_second_is_looked_at_however_many_arrive_test() ->
    {Turns, _} = attempts([{?PEER, false, At} || At <- lists:seq(0, 99999, 10)], new()),
    ?assert(length([Turn || Turn <- Turns, Turn =/= too_many]) =< 1 + 100 + 4).

%% Before its turn has come, nothing may be learned about it.
a_right_secret_waits_like_a_wrong_one_at_an_address_with_wrong_ones_test() ->
    Before = [{?PEER, false, 0} || _ <- lists:seq(1, 3)],
    {Right, AfterRight} = attempts(Before ++ [{?PEER, true, 0}], new()),
    {Wrong, AfterWrong} = attempts(Before ++ [{?PEER, false, 0}], new()),
    ?assertEqual(Right, Wrong),
    ?assertEqual(AfterRight, AfterWrong).

an_address_is_forgotten_after_a_second_without_wrong_secrets_test() ->
    {_, WrongSecrets} = attempts([{?PEER, false, 0}], new()),
    ?assertMatch({{wait, 1}, _}, attempt(?PEER, true, 999, WrongSecrets)),
    {now, Empty} = attempt(?PEER, true, 1000, WrongSecrets),
    ?assertEqual(0, ejabberd_megaphone_wrong_secrets:size(Empty)).

other_addresses_do_not_wait_test() ->
    {_, WrongSecrets} = attempts([{?PEER, false, 0} || _ <- lists:seq(1, 100)], new()),
    ?assertMatch({now, _}, attempt(?OTHER, true, 0, WrongSecrets)),
    ?assertMatch({now, _}, attempt(?OTHER, false, 0, WrongSecrets)).

all_ports_and_a_whole_ipv6_network_count_as_one_address_test_() ->
    [{lists:flatten(io_lib:format("~0p ~0p", [One, Other])),
      ?_assertMatch({Turn, _}, attempt(Other, true, 0, element(2, attempt(One, false, 0, new()))))}
     || {Turn, One, Other} <-
            [{{wait, 1000}, ?PEER, {{192, 0, 2, 7}, 2}},
             {{wait, 1000}, {{16#2001, 16#db8, 0, 1, 0, 0, 0, 7}, 1}, {{16#2001, 16#db8, 0, 1, 1, 2, 3, 4}, 2}},
             {now, {{16#2001, 16#db8, 0, 1, 0, 0, 0, 7}, 1}, {{16#2001, 16#db8, 0, 2, 0, 0, 0, 7}, 1}},
             %% IPv4 on an IPv6 socket is IPv4.
             {{wait, 1000}, ?PEER, {{0, 0, 0, 0, 0, 16#FFFF, 16#C000, 16#0207}, 1}},
             {now, ?OTHER, {{0, 0, 0, 0, 0, 16#FFFF, 16#C000, 16#0207}, 1}},
             {{wait, 1000}, {local, <<>>}, {local, <<"path">>}}]].

%% Those that are free first are forgotten.
the_number_of_addresses_is_limited_test() ->
    Peer = fun(Nth) -> {{10, 0, Nth div 256, Nth rem 256}, 1} end,
    Longest = [{Peer(0), false, 0} || _ <- lists:seq(1, 5)],
    {_, WrongSecrets} = attempts(Longest ++ [{Peer(Nth), false, 0} || Nth <- lists:seq(1, 10000)], new()),
    ?assertEqual(4096, ejabberd_megaphone_wrong_secrets:size(WrongSecrets)),
    ?assertMatch({too_many, _}, attempt(Peer(0), true, 0, WrongSecrets)).

%% However many arrive, from however many addresses: turns of an address are at least a second apart, and no secret waits longer than 4 s.
every_address_has_one_turn_a_second_test_() ->
    property:test(?FORALL(Steps, list({range(1, 3), boolean(), range(0, 900)}), has_one_turn_a_second(Steps)), 300).

has_one_turn_a_second(Steps) ->
    {Attempts, End} = lists:mapfoldl(fun({Host, IsRight, Pause}, Now) -> {{{{10, 0, 0, Host}, 1}, IsRight, Now}, Now + Pause} end, 0, Steps),
    {Turns, _} = attempts(Attempts, new()),
    Turned = [{Peer, At + wait(Turn)} || {{Peer, false, At}, Turn} <- lists:zip(Attempts, Turns), Turn =/= too_many],
    lists:all(fun({wait, Time}) -> Time > 0 andalso Time =< 4000; (_) -> true end, Turns)
        andalso lists:all(fun(Host) -> length([At || {{{_, _, _, H}, _}, At} <- Turned, H =:= Host]) =< 10 + End div 1000 end, [1, 2, 3])
        andalso lists:all(fun(Host) -> apart(lists:sort([At || {{{_, _, _, H}, _}, At} <- Turned, H =:= Host])) end, [1, 2, 3]).

apart([One, Other | Rest]) -> Other - One >= 1000 andalso apart([Other | Rest]);
apart(_) -> true.

wait({wait, Time}) -> Time;
wait(now) -> 0.

attempts(Attempts, WrongSecrets) ->
    lists:mapfoldl(fun({Peer, IsRight, Now}, Before) -> attempt(Peer, IsRight, Now, Before) end, WrongSecrets, Attempts).
