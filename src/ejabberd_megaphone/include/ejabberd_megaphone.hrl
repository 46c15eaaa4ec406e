%% Terms that more than one module of ejabberd_megaphone handles.

%% What a listener was configured with, as far as its links and sessions need to know it.
-record(options,
        {tls = none :: ejabberd_megaphone_tls:settings() | none,    % of links
         starttls_required = false :: boolean(),             % clients without TLS at their ECM are refused
         proxy_header = optional :: ejabberd_megaphone_proxy:policy(),    % at the head of a session
         secret = <<>> :: binary(),                          % empty: none wanted
         keep_alive = 15000 :: pos_integer(),                % ms
         max_packet = 1048576 :: pos_integer(),              % bytes, the header of 32 included
         hibernate_after = 10000 :: non_neg_integer(),       % ms; 0: never
         compact = true :: boolean(),
         close_rate = 5000 :: pos_integer(),                 % sessions per second
         buffer_total = 268435456 :: pos_integer(),          % bytes that wait for all sessions of a link
         send_timeout = 15000 :: timeout(),                  % ms
         max_stanza_size = infinity :: pos_integer() | infinity,
         max_queue :: pos_integer() | undefined,             % messages for a c2s process, after which it ends
         c2s = [] :: [{atom(), term()}]}).                   % options for ejabberd_c2s

%% One link, as its processes and its sessions see it: a row of the table ?LINKS, found by the pid of its owner.
-record(link,
        {owner :: pid() | '_',
         receiver :: pid() | '_',
         sender :: pid() | undefined | '_',                  % undefined: the link is lost, its sessions are being closed
         sessions :: ets:tid() | '_',                        % #session{} by id
         queued :: atomics:atomics_ref() | '_',              % bytes on their way to the socket, in slot 1
         waiting :: ejabberd_megaphone_waiting:count() | '_',
         counters :: counters:counters_ref() | '_',
         options :: ejabberd_megaphone_shared:key() | '_',   % of #options{}
         max_out = 1048576 :: pos_integer() | '_',           % bytes: the longest packet that the other end takes
         sock_peer_name :: {endpoint(), endpoint()} | '_',   % our own end and the other
         name = <<>> :: binary() | '_'}).                    % what the other end calls itself, fit to be shown; empty without hello

-define(LINKS, ejabberd_megaphone).

%% The connection of a link, for calls that gen_tcp and ssl both have.
-type connection() :: {gen_tcp, gen_tcp:socket()} | {ssl, ssl:sslsocket()}.

-type endpoint() :: {inet:ip_address(), inet:port_number()}.

%% One session of a link.
-record(session,
        {id :: ejabberd_megaphone_wire:id() | '_',
         c2s :: pid() | ended | '_' | '$1',                  % ended: what comes for it is dropped
         %% Packets that were sent to the c2s process and not taken up yet, and ?HELD on top of it while the receiver
         %% holds back more of them.
         load = 0 :: integer() | '_',
         bytes = 0 :: integer() | '_' | '$2'}).               % in those packets, as packet_bytes/1 counts them

-define(HELD, (1 bsl 32)).
