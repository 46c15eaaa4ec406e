%% Terms that several modules of ejabberd_megaphone share.

%% A listener's configuration, as far as its links and sessions need it.
-record(options,
        {tls = none :: ejabberd_megaphone_tls:settings() | none,    % of links
         starttls_required = false :: boolean(),             % refuse clients that do not use TLS towards their ECM
         proxy_header = optional :: ejabberd_megaphone_proxy:policy(),    % at the head of a session
         secret = <<>> :: binary(),                          % empty: none is required
         keep_alive = 15000 :: pos_integer(),                % ms
         max_packet = 1048576 :: pos_integer(),              % bytes, including the header of 32
         hibernate_after = 10000 :: non_neg_integer(),       % ms; 0: never
         compact = true :: boolean(),
         close_rate = 5000 :: pos_integer(),                 % sessions per second
         max_links = 256 :: pos_integer(),                   % of this node
         resume_timeout = 90000 :: non_neg_integer(),        % ms for which sessions outlive a connection; 0: they do not
         listener = none :: {inet:ip_address() | {local, binary()}, inet:port_number()} | none,   % where it listens
         buffer_total = 268435456 :: pos_integer(),          % bytes buffered for all sessions of a link
         send_timeout = 15000 :: timeout(),                  % ms
         max_stanza_size = infinity :: pos_integer() | infinity,
         max_queue :: pos_integer() | undefined,             % messages that end a c2s process if they are queued for it
         c2s = [] :: [{atom(), term()}]}).                   % options for ejabberd_c2s

%% A link, as its processes and its sessions see it: a row of the table ?LINKS, whose key is the link's owner. Of the connection that
%% carries the link, or did so last, there is nothing in it but the addresses; its receiver and sender are told which one that is.
-record(link,
        {owner :: pid() | '_',
         receiver :: pid() | undefined | '_',                % undefined: only while the link is being made
         sender :: pid() | undefined | '_',                  % undefined: the link is lost, and its sessions are being closed
         sessions :: ets:tid() | '_',                        % #session{} by id
         queued :: atomics:atomics_ref() | '_',              % bytes queued for the socket, in slot 1
         budget :: ejabberd_megaphone_budget:budget() | '_', % what is buffered for its sessions
         counters :: counters:counters_ref() | '_',
         options :: ejabberd_megaphone_shared:key() | '_',   % of #options{}
         has_control = false :: boolean() | '_',             % the ECM has sent a hello
         name = <<>> :: binary() | '_',                      % of the ECM as its hello gives it, safe to print; empty without hello
         identity = none :: link_identity() | none | '_',         % none: the link ends with its connection
         window = 0 :: non_neg_integer() | '_',              % bytes that the ECM may leave unacknowledged, if the link can be resumed
         since = erlang:system_time(second) :: integer() | '_', % when it came up
         is_cut = false :: boolean() | '_',                  % it waits for another connection
         max_out = 1048576 :: pos_integer() | '_',           % bytes: the longest packet that is sent to the ECM
         pieces = false :: boolean() | '_',                  % the ECM is promised whole pieces (section 9 of the link protocol)
         addresses :: {endpoint(), endpoint()} | '_'}).      % of our end of the connection and of the ECM's

-define(LINKS, ejabberd_megaphone).

%% Bytes that this end may leave unacknowledged on a link that can be resumed (section 7 of the link protocol).
-define(WINDOW, 2097152).

%% A TCP or TLS connection: a socket for the calls that gen_tcp and ssl have in common, and that of TCP, which is the same without TLS.
-type connection() :: {gen_tcp, gen_tcp:socket(), gen_tcp:socket()} | {ssl, ssl:sslsocket(), gen_tcp:socket()}.

%% What a hello says about which link it is, on the listener that it came to: the ECM's name, its process, and the number of the link there.
-type link_identity() :: {Listener :: term(), Name :: binary(), Instance :: binary(), Slot :: non_neg_integer()}.

-type endpoint() :: {inet:ip_address(), inet:port_number()}.

%% How a client reaches its ECM: two facts in one atom, which a session keeps while it sleeps. Over TCP without and with TLS, over WebSocket
%% without and with TLS.
-type transport() :: tcp | tls | ws | wss.

%% A client, as the PROXY header at the head of its session tells of it.
-record(client,
        {addresses = unknown :: {endpoint(), endpoint()} | unknown,    % the one that it connected to, and its own
         transport = tcp :: transport(),
         bindings = #{} :: #{binary() => binary()}}).        % channel bindings of its TLS, by their names in SASL

%% What all links of a listener share: the key of its #options{}, and the node's counters.
-type listener_terms() :: {ejabberd_megaphone_shared:key(), counters:counters_ref()}.

%% A session of a link.
-record(session,
        {id :: ejabberd_megaphone_wire:id() | '_' | '$1',
         c2s :: pid() | ended | '_' | '$1',                  % ended: packets for it are dropped
         %% Packets in the mailbox of the c2s process that it has not taken yet, plus ?BACKLOGGED while more of them wait in the
         %% link's receiver.
         packets = 0 :: integer() | '_',
         bytes = 0 :: integer() | '_' | '$2'}).              % of the packets in the mailbox, as packet_bytes/1 counts them

-define(BACKLOGGED, (1 bsl 32)).
