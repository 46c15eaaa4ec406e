%%% @doc The limit on log lines that anybody who can connect to a listener can bring about at will. Of each kind of line the first few in an
%%% interval are written; the others are counted, and one line at the end of the interval says how many there were. Any process may ask; the
%%% registry owns the table, and is told when an interval is over.
-module(ejabberd_megaphone_log).

-export([new/0, allows/2, end_interval/1, end_all/0]).
-export_type([kind/0]).

-include("logger.hrl").

-define(TABLE, ?MODULE).
%% Lines of a kind that are written in an interval, and the ms that it lasts, from the first of them on.
-define(MAX_LINES, 5).
-define(INTERVAL, 30000).

-type kind() :: link_up | link_down | link_cut | link_resumed | link_lost | link_closed
              | stranger_down | stranger_closed | stranger_evicted              % connections whose first packet has not been accepted
              | links_refused | tls_failed | secret_wrong | send_failed
              | proxy_refused | session_refused | failure.

%% @doc Makes the table. The calling process owns it.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, set, {write_concurrency, true}]),
    ok.

%% @doc Whether a line of this kind may be written now. One that may not is counted.
-spec allows(kind(), counters:counters_ref()) -> boolean().
allows(Kind, Counters) ->
    try ets:update_counter(?TABLE, Kind, 1, {Kind, 0}) of
        1 ->
            _ = erlang:send_after(?INTERVAL, ejabberd_megaphone_registry, {log_interval_ends, Kind}),
            true;
        Count when Count =< ?MAX_LINES ->
            true;
        _ ->
            ejabberd_megaphone_counters:add(Counters, log_suppressed),
            false
    catch
        error:badarg -> true                     % the registry has ended, as the whole module is about to
    end.

%% @doc Ends an interval: logs how many lines of that kind were suppressed, if any were.
-spec end_interval(kind()) -> ok.
end_interval(Kind) ->
    case ets:take(?TABLE, Kind) of
        [{_, Count}] when Count > ?MAX_LINES -> log(level(Kind), Count - ?MAX_LINES, what(Kind));
        _ -> ok
    end.

%% @doc Ends all intervals.
-spec end_all() -> ok.
end_all() -> lists:foreach(fun({Kind, _}) -> end_interval(Kind) end, ets:tab2list(?TABLE)).

log(info, Count, What) -> ?INFO_MSG("~b more ~s", [Count, What]);
log(warning, Count, What) -> ?WARNING_MSG("~b more ~s", [Count, What]).

level(Kind) when Kind =:= link_up; Kind =:= link_down; Kind =:= link_cut; Kind =:= link_resumed; Kind =:= link_lost; Kind =:= stranger_down -> info;
level(_) -> warning.

what(link_up) -> "links came up";
what(link_down) -> "links went down";
what(link_cut) -> "links were cut";
what(link_resumed) -> "links were resumed";
what(link_lost) -> "links with sessions were lost";
what(link_closed) -> "links were closed for a protocol error";
what(stranger_down) -> "connections ended before their first packet";
what(stranger_closed) -> "connections were closed because of their first packet, or for not sending one";
what(stranger_evicted) -> "connections were ended before they became a link, as there were too many";
what(links_refused) -> "links were refused, as there were too many";
what(tls_failed) -> "connections failed in their TLS handshake";
what(secret_wrong) -> "links were refused for a wrong secret, or for too many from their address";
what(send_failed) -> "links could no longer be written to";
what(proxy_refused) -> "sessions were refused for their PROXY header, or for having none";
what(session_refused) -> "sessions could not be started";
what(failure) -> "exceptions were raised by what arrived".
