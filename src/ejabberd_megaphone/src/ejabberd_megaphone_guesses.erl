%%% @doc What wrong secrets cost the addresses that they come from. After a wrong one, the next secret that comes from there is looked
%%% at a second later, and the one after that another second; what would have to wait for too long is not looked at, ever. An IPv6
%%% address stands for its /64, which as a rule is one machine's. No processes, no I/O.
%%%
%%% Whether a secret is right is known before it is asked here, so that looking at it and counting it are one step: of a thousand that
%%% come at the same time, one is free. Until its turn has come nothing must depend on it that the other end can see.
-module(ejabberd_megaphone_guesses).

-export([new/0, attempt/4, size/1]).
-export_type([guesses/0]).

-include("ejabberd_megaphone.hrl").

%% ms that each costs, and that one waits at most.
-define(COST, 1000).
%% Less than an ECM waits for the answer to its hello (Ecm:Link:ConnectTimeout, 5 s).
-define(MOST, 4000).
%% Addresses that are remembered; when there are more, those whose time is up first are forgotten.
-define(ADDRESSES, 4096).

-record(guesses,
        {free = #{} :: #{address() => Ms :: integer()},              % from when on a secret from there is looked at
         order = gb_sets:new() :: gb_sets:set({Ms :: integer(), address()})}).   % the same, the first first

-type address() :: inet:ip4_address() | {network, 0..65535, 0..65535, 0..65535, 0..65535} | local.
-opaque guesses() :: #guesses{}.

%% @doc No address has said a wrong secret.
-spec new() -> guesses().
new() -> #guesses{}.

%% @doc A secret has come from `Peer', at `Now' (ms). `now': it may be looked at. `{wait, Ms}': then, and not before. `too_many': never.
-spec attempt(Peer :: endpoint() | {local, binary()}, IsRight :: boolean(), Now :: integer(), guesses()) ->
          {now | {wait, Ms :: pos_integer()} | too_many, guesses()}.
attempt(Peer, IsRight, Now, Before) ->
    #guesses{free = Free} = Guesses = expire(Now, Before),
    Address = address(Peer),
    case Free of
        #{Address := At} when At - Now > ?MOST -> {too_many, Guesses};
        #{Address := At} -> {{wait, At - Now}, keep(Address, At + ?COST, Guesses)};
        _ when IsRight -> {now, Guesses};
        _ -> {now, keep(Address, Now + ?COST, Guesses)}
    end.

%% @doc How many addresses are remembered.
-spec size(guesses()) -> non_neg_integer().
size(#guesses{free = Free}) -> map_size(Free).

address({{0, 0, 0, 0, 0, 16#FFFF, High, Low}, _Port}) -> {High bsr 8, High band 255, Low bsr 8, Low band 255};
address({{A, B, C, D, _, _, _, _}, _Port}) -> {network, A, B, C, D};
address({local, _Path}) -> local;
address({Address, _Port}) -> Address.

keep(Address, At, #guesses{free = Free, order = Order} = Guesses) ->
    Others = case Free of
                 #{Address := Before} -> gb_sets:delete({Before, Address}, Order);
                 _ -> Order
             end,
    bound(Guesses#guesses{free = Free#{Address => At}, order = gb_sets:add({At, Address}, Others)}).

bound(#guesses{free = Free} = Guesses) when map_size(Free) > ?ADDRESSES -> forget_first(Guesses);
bound(Guesses) -> Guesses.

expire(Now, #guesses{order = Order} = Guesses) ->
    case gb_sets:is_empty(Order) orelse gb_sets:smallest(Order) of
        {At, _} when At =< Now -> expire(Now, forget_first(Guesses));
        _ -> Guesses
    end.

forget_first(#guesses{free = Free, order = Order}) ->
    {{_, Address}, Others} = gb_sets:take_smallest(Order),
    #guesses{free = maps:remove(Address, Free), order = Others}.
