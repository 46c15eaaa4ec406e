%%% A p1_server that counts calls, and sleeps as ejabberd_megaphone_sleep makes a c2s process sleep.
-module(sleeper).
-behaviour(p1_server).

-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2, code_change/3]).

init([]) -> {ok, 0}.

handle_call(count, _From, Count) -> {reply, Count + 1, Count + 1}.

handle_cast(stop, Count) -> {stop, normal, Count}.

handle_info(sleep, Count) ->
    proc_lib:hibernate(p1_server, wake_hib, [self(), self(), Count, ?MODULE, [], {limits, undefined}]).

terminate(_Reason, _Count) -> ok.

code_change(_Old, Count, _Extra) -> {ok, Count}.
