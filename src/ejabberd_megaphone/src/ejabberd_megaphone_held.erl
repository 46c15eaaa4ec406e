%%% @doc The output that a link's sender keeps for clients: for those that the ECM has paused, and for any of them while nothing can be sent
%%% on the link. What may be kept for one client is limited by ?LIMIT, and for all of them by the link's budget. A value: no processes,
%%% no I/O but the reservations in the budget.
-module(ejabberd_megaphone_held).

-export([new/0, is_member/2, is_paused/2, pause/2, unpause/2, unpaused/1, keep/5, take/3]).
-export_type([held/0, output/0]).

%% Bytes that may be kept for one client.
-define(LIMIT, 1048576).

-define(EMPTY_PACKET, 32).

-record(entry,
        {bytes = 0 :: non_neg_integer(),
         reversed = [] :: [iodata()],
         is_paused = false :: boolean()}).

-opaque held() :: #{ejabberd_megaphone_wire:id() => #entry{}}.
-type output() :: {Bytes :: non_neg_integer(), Sends :: non_neg_integer(), [iodata()]}.

-spec new() -> held().
new() -> #{}.

%% @doc Whether further output for this client has to be kept behind what is, or because it is paused.
-spec is_member(ejabberd_megaphone_wire:id(), held()) -> boolean().
is_member(Id, Held) -> is_map_key(Id, Held).

-spec is_paused(ejabberd_megaphone_wire:id(), held()) -> boolean().
is_paused(Id, Held) -> (maps:get(Id, Held, #entry{}))#entry.is_paused.

-spec pause(ejabberd_megaphone_wire:id(), held()) -> held().
pause(Id, Held) -> Held#{Id => (maps:get(Id, Held, #entry{}))#entry{is_paused = true}}.

%% @doc The client is not paused any more. What is kept for it stays.
-spec unpause(ejabberd_megaphone_wire:id(), held()) -> held().
unpause(Id, Held) ->
    case Held of
        #{Id := Entry} -> Held#{Id := Entry#entry{is_paused = false}};
        _ -> Held
    end.

%% @doc The members that are not paused.
-spec unpaused(held()) -> [ejabberd_megaphone_wire:id()].
unpaused(Held) -> [Id || {Id, #entry{is_paused = false}} <- maps:to_list(Held)].

%% @doc Keeps output for a client. `full': a limit was passed, and all of that client's output is discarded.
-spec keep(ejabberd_megaphone_wire:id(), Bytes :: pos_integer(), iodata(), ejabberd_megaphone_budget:budget(), held()) ->
          {ok, held()} | {full, Reason :: binary(), held()}.
keep(Id, Bytes, Content, Budget, Held) ->
    #entry{bytes = Kept, reversed = Reversed} = Entry = maps:get(Id, Held, #entry{}),
    case may_keep(Bytes, Kept, Budget) of
        true ->
            {ok, Held#{Id => Entry#entry{bytes = Kept + Bytes, reversed = [Content | Reversed]}}};
        Reason ->
            ejabberd_megaphone_budget:release(Budget, Kept),
            {full, Reason, Held#{Id => Entry#entry{bytes = 0, reversed = []}}}
    end.

%% The end of a session is always kept: nothing comes behind it.
may_keep(?EMPTY_PACKET, _Kept, Budget) ->
    ejabberd_megaphone_budget:reserve(Budget, ?EMPTY_PACKET),
    true;
may_keep(Bytes, Kept, _Budget) when Kept + Bytes > ?LIMIT ->
    <<"buffer_limit">>;
may_keep(Bytes, _Kept, Budget) ->
    ejabberd_megaphone_budget:try_reserve(Budget, Bytes) orelse <<"buffer_total">>.

%% @doc Takes out a client and its output, in the order in which it was kept. `none': it is no member.
-spec take(ejabberd_megaphone_wire:id(), ejabberd_megaphone_budget:budget(), held()) -> {output(), held()} | none.
take(Id, Budget, Held) ->
    case maps:take(Id, Held) of
        {#entry{bytes = Bytes, reversed = Reversed}, Others} ->
            ejabberd_megaphone_budget:release(Budget, Bytes),
            {{Bytes, length(Reversed), lists:reverse(Reversed)}, Others};
        error ->
            none
    end.
