%%% @doc The delay that wrong secrets impose on the addresses from which they come. After a wrong secret the next one from the same address
%%% is looked at a second later, the one after that another second later, and so on; one that would have to wait too long is not looked at
%%% at all. An IPv6 address stands for its /64, as a rule the network of one machine. A value: no processes, no I/O.
%%%
%%% The caller knows already whether a secret is right when it asks here, so that looking at it and counting it are one step: of a thousand
%%% that arrive at the same time, one is free. Until a secret's turn has come, nothing that its sender can see may depend on it.
-module(ejabberd_megaphone_wrong_secrets).

-export([new/0, attempt/4, size/1, address/1]).
-export_type([wrong_secrets/0, address/0]).

-include("ejabberd_megaphone.hrl").

%% ms by which each wrong secret delays the next, and the longest delay: less than the time for which an ECM waits for the answer to its
%% hello (Ecm:Link:ConnectTimeout, 5 s).
-define(DELAY, 1000).
-define(MAX_DELAY, 4000).
%% Addresses that are remembered. If there are more, those that are free first are forgotten.
-define(MAX_ADDRESSES, 4096).

-record(wrong_secrets,
        {free_at = #{} :: #{address() => Ms :: integer()},         % when the next secret from there is looked at
         order = gb_sets:new() :: gb_sets:set({Ms :: integer(), address()})}).   % the same, sorted by time

-type address() :: inet:ip4_address() | {network, 0..65535, 0..65535, 0..65535, 0..65535} | local.
-opaque wrong_secrets() :: #wrong_secrets{}.

%% @doc No wrong secret has come from anywhere.
-spec new() -> wrong_secrets().
new() -> #wrong_secrets{}.

%% @doc Decides about a secret that came from `Peer' at `Now' (ms). `now': it may be looked at. `{wait, Ms}': then, and not before.
%% `too_many': never.
-spec attempt(Peer :: endpoint() | {local, binary()}, IsRight :: boolean(), Now :: integer(), wrong_secrets()) ->
          {now | {wait, Ms :: pos_integer()} | too_many, wrong_secrets()}.
attempt(Peer, IsRight, Now, Before) ->
    #wrong_secrets{free_at = FreeAt} = Current = expire(Now, Before),
    Address = address(Peer),
    case FreeAt of
        #{Address := At} when At - Now > ?MAX_DELAY -> {too_many, Current};
        #{Address := At} -> {{wait, At - Now}, put(Address, At + ?DELAY, Current)};
        _ when IsRight -> {now, Current};
        _ -> {now, put(Address, Now + ?DELAY, Current)}
    end.

%% @doc How many addresses are remembered.
-spec size(wrong_secrets()) -> non_neg_integer().
size(#wrong_secrets{free_at = FreeAt}) -> map_size(FreeAt).

%% @doc The address that a connection is attributed to.
-spec address(endpoint() | {local, binary()}) -> address().
address({{0, 0, 0, 0, 0, 16#FFFF, High, Low}, _Port}) -> {High bsr 8, High band 255, Low bsr 8, Low band 255};
address({{A, B, C, D, _, _, _, _}, _Port}) -> {network, A, B, C, D};
address({local, _Path}) -> local;
address({Address, _Port}) -> Address.

put(Address, At, #wrong_secrets{free_at = FreeAt, order = Order} = Current) ->
    Others = case FreeAt of
                 #{Address := Before} -> gb_sets:delete({Before, Address}, Order);
                 _ -> Order
             end,
    limit(Current#wrong_secrets{free_at = FreeAt#{Address => At}, order = gb_sets:add({At, Address}, Others)}).

limit(#wrong_secrets{free_at = FreeAt} = Current) when map_size(FreeAt) > ?MAX_ADDRESSES -> forget_first(Current);
limit(Current) -> Current.

expire(Now, #wrong_secrets{order = Order} = Current) ->
    case gb_sets:is_empty(Order) orelse gb_sets:smallest(Order) of
        {At, _} when At =< Now -> expire(Now, forget_first(Current));
        _ -> Current
    end.

forget_first(#wrong_secrets{free_at = FreeAt, order = Order}) ->
    {{_, Address}, Others} = gb_sets:take_smallest(Order),
    #wrong_secrets{free_at = maps:remove(Address, FreeAt), order = Others}.
