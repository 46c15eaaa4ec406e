%%% @doc Counters of all links of this node, since the first of them.
-module(ejabberd_megaphone_counters).

-export([new/0, add/2, add/3, all/1]).
-export_type([name/0]).

-define(NAMES, [links_opened, links_lost, links_cut, links_resumed, bytes_resent, sessions_opened, sessions_ended, packets_in, bytes_in, packets_out,
                bytes_out, packets_dropped, protocol_errors, control_ignored, pauses, resets, resets_buffer_total, tls_failed,
                tls_missing, secret_wrong, secret_throttled, proxy_refused, failures, log_suppressed,
                strangers_evicted, links_refused]).

-type name() :: links_opened | links_lost | sessions_opened | sessions_ended | packets_in | bytes_in | packets_out | bytes_out
              | links_cut           % connections of links that ended and could be resumed
              | links_resumed       % of them, those that were
              | bytes_resent        % on the connections that resumed them
              | packets_dropped     % for ids that were over
              | protocol_errors     % links and connections closed for them
              | control_ignored     % ops and members of control packets that are unknown
              | pauses              % sent, for sessions that did not keep up
              | resets              % sessions reset for exceeding a limit
              | resets_buffer_total % of them, those that exceeded the limit for all sessions together
              | tls_failed          % TLS handshakes that failed
              | tls_missing         % clients refused for using no TLS towards their ECM (starttls_required)
              | secret_wrong        % links refused for a wrong secret
              | secret_throttled    % links refused, without looking at their secret, for wrong ones from the same address
              | proxy_refused       % sessions refused for their PROXY header, or for having none (proxy_header)
              | failures            % exceptions raised in this module by what arrived; each ended its session or link
              | log_suppressed      % log lines that were not written
              | strangers_evicted   % connections ended before they became a link, as there were too many
              | links_refused.      % links refused as there were max_links of them

-spec new() -> counters:counters_ref().
new() -> counters:new(length(?NAMES), [write_concurrency]).

-spec add(counters:counters_ref(), name()) -> ok.
add(Counters, Name) -> add(Counters, Name, 1).

-spec add(counters:counters_ref(), name(), non_neg_integer()) -> ok.
add(Counters, Name, Count) -> counters:add(Counters, index(Name), Count).

-spec all(counters:counters_ref()) -> [{name(), non_neg_integer()}].
all(Counters) -> [{Name, counters:get(Counters, index(Name))} || Name <- ?NAMES].

index(links_opened) -> 1;
index(links_lost) -> 2;
index(sessions_opened) -> 3;
index(sessions_ended) -> 4;
index(packets_in) -> 5;
index(bytes_in) -> 6;
index(packets_out) -> 7;
index(bytes_out) -> 8;
index(packets_dropped) -> 9;
index(protocol_errors) -> 10;
index(control_ignored) -> 11;
index(pauses) -> 12;
index(resets) -> 13;
index(resets_buffer_total) -> 14;
index(tls_failed) -> 15;
index(tls_missing) -> 16;
index(secret_wrong) -> 17;
index(secret_throttled) -> 18;
index(proxy_refused) -> 19;
index(failures) -> 20;
index(log_suppressed) -> 21;
index(links_cut) -> 22;
index(links_resumed) -> 23;
index(bytes_resent) -> 24;
index(strangers_evicted) -> 25;
index(links_refused) -> 26.
