%%% @doc How often the log is told of what anybody who reaches a listener can bring about, as often as he likes. Of each kind of line
%%% the first few in an interval are written; the others are counted, and one line says at its end how many there were. Any process
%%% may ask; the keeper owns the table, and is told when an interval is over.
-module(ejabberd_megaphone_log).

-export([new/0, allows/2, end_interval/1, end_all/0]).
-export_type([kind/0]).

-include("logger.hrl").

-define(TABLE, ?MODULE).
%% Lines of a kind that are written in an interval, and its ms, from the first of them on.
-define(FEW, 5).
-define(INTERVAL, 30000).

-type kind() :: link_up | link_down | link_lost | link_closed
              | stranger_down | stranger_closed                % links that have said nothing yet
              | tls_failed | secret_wrong | send_failed
              | proxy_refused | session_refused | failure.

%% @doc Makes the table, for the process that calls.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, set, {write_concurrency, true}]),
    ok.

%% @doc Whether a line of this kind is to be written now. One that is not is counted.
-spec allows(kind(), counters:counters_ref()) -> boolean().
allows(Kind, Counters) ->
    try ets:update_counter(?TABLE, Kind, 1, {Kind, 0}) of
        1 ->
            _ = erlang:send_after(?INTERVAL, ejabberd_megaphone_keeper, {log_interval_ends, Kind}),
            true;
        Count when Count =< ?FEW ->
            true;
        _ ->
            ejabberd_megaphone_counters:add(Counters, log_suppressed),
            false
    catch
        error:badarg -> true                     % the keeper is gone, and everything will be
    end.

%% @doc An interval is over: says how many lines of that kind were not written, if there were any.
-spec end_interval(kind()) -> ok.
end_interval(Kind) ->
    case ets:take(?TABLE, Kind) of
        [{_, Count}] when Count > ?FEW -> tell(level(Kind), Count - ?FEW, what(Kind));
        _ -> ok
    end.

%% @doc Ends all intervals.
-spec end_all() -> ok.
end_all() -> lists:foreach(fun({Kind, _}) -> end_interval(Kind) end, ets:tab2list(?TABLE)).

tell(info, Count, What) -> ?INFO_MSG("~b more ~s", [Count, What]);
tell(warning, Count, What) -> ?WARNING_MSG("~b more ~s", [Count, What]).

level(Kind) when Kind =:= link_up; Kind =:= link_down; Kind =:= link_lost; Kind =:= stranger_down -> info;
level(_) -> warning.

what(link_up) -> "links came up";
what(link_down) -> "links went down";
what(link_lost) -> "links were lost that had sessions";
what(link_closed) -> "links were closed for what they said";
what(stranger_down) -> "links went down that had said nothing";
what(stranger_closed) -> "links were closed for the first that they said, or for saying nothing";
what(tls_failed) -> "links came to no TLS";
what(secret_wrong) -> "links were refused for a wrong secret, or for too many from their address";
what(send_failed) -> "links took nothing more";
what(proxy_refused) -> "sessions were refused for their PROXY header, or for having none";
what(session_refused) -> "sessions could not be started";
what(failure) -> "packets made this module fail".
