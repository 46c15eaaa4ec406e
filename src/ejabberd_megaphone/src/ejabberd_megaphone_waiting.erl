%%% @doc The connections that have not become a link yet. There may be only so many: when there is one more, the oldest from the address with the
%%% most of them has to go, so that an address that opens very many ends its own, and those that open few are not affected. A value: no
%%% processes, no I/O.
-module(ejabberd_megaphone_waiting).

-export([new/0, add/3, remove/2, take_excess/1]).
-export_type([waiting/0]).

-include("ejabberd_megaphone.hrl").

%% More than ECMs that come back at once, and little memory: a connection that has not authenticated takes what a hello does.
-define(MAX, 256).

-record(waiting,
        {addresses = #{} :: #{pid() => {address(), pos_integer()}},  % where each is from, and its number
         from = #{} :: #{address() => gb_sets:set({pos_integer(), pid()})},
         last = 0 :: non_neg_integer()}).                            % number

-type address() :: ejabberd_megaphone_wrong_secrets:address().
-opaque waiting() :: #waiting{}.

-spec new() -> waiting().
new() -> #waiting{}.

%% @doc A connection has arrived.
-spec add(pid(), Peer :: endpoint() | {local, binary()}, waiting()) -> waiting().
add(Connection, Peer, #waiting{addresses = Addresses, from = From, last = Last}) ->
    Address = ejabberd_megaphone_wrong_secrets:address(Peer),
    Others = maps:get(Address, From, gb_sets:new()),
    #waiting{addresses = Addresses#{Connection => {Address, Last + 1}},
             from = From#{Address => gb_sets:add({Last + 1, Connection}, Others)},
             last = Last + 1}.

%% @doc A connection has become a link, or has ended.
-spec remove(pid(), waiting()) -> waiting().
remove(Connection, #waiting{addresses = Addresses, from = From} = Waiting) ->
    case maps:take(Connection, Addresses) of
        {{Address, Number}, Others} ->
            #{Address := Set} = From,
            Rest = gb_sets:delete({Number, Connection}, Set),
            Left = case gb_sets:is_empty(Rest) of
                       true -> maps:remove(Address, From);
                       false -> From#{Address := Rest}
                   end,
            Waiting#waiting{addresses = Others, from = Left};
        error ->
            Waiting
    end.

%% @doc The connection that has to go, if there are too many.
-spec take_excess(waiting()) -> {pid(), waiting()} | none.
take_excess(#waiting{addresses = Addresses}) when map_size(Addresses) =< ?MAX ->
    none;
take_excess(#waiting{from = From} = Waiting) ->
    {_Most, {_Number, Oldest}} =
        maps:fold(fun(_Address, Set, Worst) ->
                          {Number, Connection} = gb_sets:smallest(Set),
                          max({gb_sets:size(Set), {-Number, Connection}}, Worst)
                  end, {0, none}, From),
    {Oldest, remove(Oldest, Waiting)}.
