%%% @doc The closing of all sessions of a link: they are told that their connection is closed, one after the other, at `close_rate'. Each of them is
%%% awake from then on until it has ended, so that their number is limited as well as their rate: to those of a quarter of a second. A value,
%%% which belongs to the link's owner.
-module(ejabberd_megaphone_closing).

-export([start/2, step/1, ended/1]).
-export_type([closing/0]).

-include("ejabberd_megaphone.hrl").

%% ms between two steps.
-define(STEP, 20).
%% ms after which sessions that are still there are told again.
-define(AGAIN, 1000).

-record(closing,
        {sessions :: ets:tid(),
         rate :: pos_integer(),
         next = start :: start | {more, term()} | told,      % told: all have been
         told = 0 :: non_neg_integer()}).                    % sessions that were told and have not ended yet

-opaque closing() :: #closing{}.

%% @doc Begins to close the sessions in this table, `Rate' of them in a second. No session is told before step/1.
-spec start(ets:tid(), Rate :: pos_integer()) -> closing().
start(Sessions, Rate) ->
    ets:safe_fixtable(Sessions, true),
    #closing{sessions = Sessions, rate = Rate}.

%% @doc Tells the next sessions. There is another step after `Ms', as long as there are sessions.
-spec step(closing()) -> {Ms :: pos_integer(), closing()}.
step(#closing{next = told} = Closing) ->
    %% Those that are left were opened while the others were told, or are busy.
    {?AGAIN, Closing#closing{next = start, told = 0}};
step(#closing{told = Told, rate = Rate} = Closing) when Told < Rate div 4; Told =:= 0 ->
    {?STEP, tell(select(Closing), Closing)};
step(Closing) ->
    {?STEP, Closing}.

select(#closing{next = start, sessions = Sessions, rate = Rate}) ->
    ets:select(Sessions, [{#session{c2s = '$1', _ = '_'}, [{is_pid, '$1'}], ['$1']}], max(1, Rate * ?STEP div 1000));
select(#closing{next = {more, Continuation}}) ->
    ets:select(Continuation).

tell('$end_of_table', Closing) ->
    Closing#closing{next = told};
tell({Sessions, Continuation}, #closing{told = Told} = Closing) ->
    lists:foreach(fun(C2S) -> C2S ! {tcp_closed, self()} end, Sessions),
    Closing#closing{next = {more, Continuation}, told = Told + length(Sessions)}.

%% @doc A session has ended.
-spec ended(closing()) -> closing().
ended(#closing{told = Told} = Closing) -> Closing#closing{told = max(0, Told - 1)}.
