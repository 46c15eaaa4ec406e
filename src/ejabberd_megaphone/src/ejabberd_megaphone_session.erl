%%% @doc A session: the calls that ejabberd's c2s process makes for its socket (behaviour xmpp_socket), and what runs in that process when
%%% something arrives from the link (hook c2s_handle_info). Everything here but start/3 runs in the c2s process.
%%%
%%% Packets arrive as they were on the wire and are turned into events here, as the parser of an ordinary session does it, which sends the
%%% events to its own process. `setopts(Socket, [{active, once}])' therefore only marks the beginning: ejabberd would repeat it after each
%%% piece of input that it gets through xmpp_socket, and it gets none that way. Its purpose, back pressure, is served by counting packets:
%%% see ejabberd_megaphone_delivery.
-module(ejabberd_megaphone_session).
-behaviour(xmpp_socket).

-export([start/3, woken/3]).
-export([send_xml/2, send/2, get_owner/1, get_transport/1, change_shaper/2, controlling_process/2, close/1,
         sockname/1, peername/1, setopts/2, reset_stream/1]).
-export([begin_session/2]).
-export([c2s_handle_info/2, c2s_stream_started/2, c2s_auth_result/3, sm_register_connection_hook/3]).
-export_type([socket/0]).

-import(ejabberd_megaphone_proxy, [uses_tls/1, is_websocket/1]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").
-include_lib("xmpp/include/xmpp.hrl").

%% ms after which a session whose connection is closed has nothing left to do, and can sleep until it is resumed.
-define(IDLE_AFTER_CLOSE, 100).
%% ms without input and output after which the login of a session that has never slept is considered done.
-define(IDLE_AFTER_LOGIN, 1000).
%% Rounds through the mailbox after which a session that was woken sleeps again if nothing is left. A client's stanza takes two.
-define(ROUNDS, 2).
%% Expat's error code, which ejabberd turns into not-well-formed.
-define(XML_ERROR_INVALID_TOKEN, 4).

-opaque socket() :: {transport(), Owner :: pid(), ejabberd_megaphone_wire:id()}.

%% State of the c2s process besides ejabberd's, in its process dictionary. A sleeping process has none.
-record(local,
        {options :: ejabberd_megaphone_shared:key(),
         socket :: socket() | closed,                 % closed: already before the session fell asleep
         is_over = false :: boolean(),                % the stream has ended: nothing more is read
         is_closed = false :: boolean(),
         last_active = now_ms() :: integer(),         % when there was input or output
         is_fresh = false :: boolean(),               % it has never slept
         timer :: reference() | undefined,            % until it may sleep
         shaper = none :: none | p1_shaper:state() | unknown,
         is_blocked = false :: boolean(),             % input waits for the shaper, or for ejabberd to process what came before
         input = queue:new() :: queue:queue(binary())}).   % packets that wait

%% @doc Starts a session on a link, of a client whose addresses are known. It begins with ejabberd_c2s:accept/1.
%%
%% The process is the one that ejabberd_c2s:start/3 makes, but this does not wait until it has had its first turn. That may take long on a server
%% whose processes all check passwords, a tenth of a second for each session, and what waits meanwhile are the packets of all others.
-spec start(#link{}, ejabberd_megaphone_wire:id(), #client{}) -> {ok, pid()} | {error, system_limit}.
start(#link{owner = Owner} = Link, Id, #client{transport = Transport} = Client) ->
    #options{c2s = Options} = ejabberd_megaphone_link:options(Link),
    Socket = {?MODULE, {Transport, Owner, Id}},
    try {ok, proc_lib:spawn(?MODULE, begin_session, [Socket, options(Client) ++ Options])}
    catch
        error:system_limit -> {error, system_limit}          % of processes: existing sessions go on
    end.

%% @private
-spec begin_session({module(), socket()}, [proplists:property()]) -> no_return().
begin_session(Socket, Options) ->
    process_flag(priority, low),                       % until the login: see c2s_auth_result/3
    put('$initial_call', {xmpp_stream_in, init, 1}),   % by which tools know it
    {ok, State, Timeout} = xmpp_stream_in:init([ejabberd_c2s, Socket, Options]),
    p1_server:enter_loop(xmpp_stream_in, ejabberd_config:fsm_limit_opts(Options), State, Timeout).

%% allow_unencrypted_sasl2 is made for TLS that is terminated in front of ejabberd: newer ones offer SASL2 as over TLS, and accept SCRAM from
%% clients that support channel binding.
options(#client{addresses = Addresses, transport = Transport} = Client) ->
    [{sock_peer_name, Addresses} | ejabberd_megaphone_binding:options(Client)] ++ [{allow_unencrypted_sasl2, true} || uses_tls(Transport)].

%%% xmpp_socket

-spec send_xml(socket(), xmpp_socket:stream_element()) -> ok | {error, inet:posix()}.
send_xml({Transport, _Owner, _Id} = Socket, Element) ->
    send(Socket, case is_websocket(Transport) of
                     true -> ejabberd_megaphone_xml:encode_alone(Element);
                     false -> ejabberd_megaphone_xml:encode(Element)
                 end).

-spec send(socket(), iodata()) -> ok | {error, inet:posix()}.
send({_Transport, Owner, Id}, Data) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{sender = Sender} = Link} when Sender =/= undefined ->
            update_local(fun(Local) -> Local#local{last_active = now_ms()} end),
            ejabberd_megaphone_sender:send(Link, Id, Data);
        _ ->
            {error, closed}
    end.

-spec get_owner(socket()) -> pid().
get_owner({_Transport, Owner, _Id}) -> Owner.

%% What the PROXY header says: TLS, if any, is between client and ECM. Of a WebSocket ejabberd's own say as little.
-spec get_transport(socket()) -> tcp | tls | websocket.
get_transport({Transport, _Owner, _Id}) ->
    case is_websocket(Transport) of
        true -> websocket;
        false -> Transport
    end.

-spec change_shaper(socket(), none | p1_shaper:state()) -> ok.
change_shaper(_Socket, Shaper) ->
    update_local(fun(Local) -> Local#local{shaper = Shaper} end).

-spec controlling_process(socket(), pid()) -> ok.
controlling_process(_Socket, _Pid) -> ok.

-spec close(socket()) -> ok.
close({_Transport, Owner, Id}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{sender = Sender} = Link} ->
            IsFirst = ejabberd_megaphone_sessions:close(Link, Id),
            _ = [ejabberd_megaphone_sender:send_end(Link, Id) || IsFirst, Sender =/= undefined],
            ok;
        error ->
            ok
    end,
    %% A session that waits to be resumed (XEP-0198) does so asleep.
    update_local(fun(Local) -> start_timer(Local#local{is_closed = true, is_over = true, last_active = now_ms()}) end).

-spec sockname(socket()) -> {ok, endpoint()} | {error, einval}.
sockname({_Transport, Owner, _Id}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{addresses = {Here, _}}} -> {ok, Here};
        error -> {error, einval}
    end.

%% Of the link. The client's address is in the options with which the session was started, which take precedence.
-spec peername(socket()) -> {ok, endpoint()} | {error, einval}.
peername({_Transport, Owner, _Id}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{addresses = {_, There}}} -> {ok, There};
        error -> {error, einval}
    end.

-spec setopts(socket(), [{active, once}]) -> ok.
setopts({_Transport, Owner, _Id} = Socket, _Options) ->
    case {get(?MODULE), ejabberd_megaphone_link:find(Owner)} of
        {undefined, {ok, #link{options = Key}}} -> put_local(start_timer(#local{options = Key, socket = Socket, is_fresh = true}));
        _ -> ok
    end.

%% There is no parser to reset.
-spec reset_stream(socket()) -> socket().
reset_stream(Socket) -> Socket.

%%% TLS is between a client and its ECM, and ejabberd cannot see into it. Unless the ECM says what a login can be bound to
%%% (ejabberd_megaphone_binding), `stream_encrypted' is therefore false until the login: ejabberd would conclude from it that it can bind SCRAM
%%% to the channel, and offer the -PLUS mechanisms. Whether TLS is required is decided here: with its own `starttls_required' ejabberd would
%%% offer STARTTLS, which is impossible on a session of a link.

%% @doc The hook. A client that uses no TLS towards its ECM cannot begin to use it here.
-spec c2s_stream_started(ejabberd_c2s:state(), stream_start()) -> ejabberd_c2s:state() | {stop, ejabberd_c2s:state()}.
c2s_stream_started(#{lang := Language} = State, _StreamStart) ->
    case get(?MODULE) of
        #local{options = Key, socket = {Transport, Owner, _Id}} ->
            case uses_tls(Transport) orelse ejabberd_megaphone_shared:get(Key) of
                #options{starttls_required = true} ->
                    count(tls_missing, Owner),
                    {stop, xmpp_stream_in:send(State, xmpp:serr_policy_violation(<<"TLS is required">>, Language))};
                _ ->
                    State
            end;
        _ ->
            State
    end.

%% @doc The hook. After the login ejabberd derives nothing more from `stream_encrypted', and modules should see it as it is.
%%
%% Until the login a session has a turn where eight others have one. To check a password takes tens of milliseconds of SCRAM without an
%% interruption, and the hundreds of wrong ones that somebody may bring would go before each step of a message between those who are logged in.
-spec c2s_auth_result(ejabberd_c2s:state(), true | {false, binary()}, binary()) -> ejabberd_c2s:state().
c2s_auth_result(State, true, _User) ->
    case get(?MODULE) of
        #local{socket = {Transport, _Owner, _Id}} ->
            process_flag(priority, normal),
            case uses_tls(Transport) of
                true -> State#{stream_encrypted => true};
                false -> State
            end;
        _ ->
            State
    end;
c2s_auth_result(State, _Failure, _User) ->
    State.

%% @doc The hook. It runs in the session's process before the login is answered, for a bind of a resource and for a session that is resumed: so
%% the ECM hears of the login before its client does.
-spec sm_register_connection_hook(ejabberd_sm:sid(), jid:jid(), ejabberd_sm:info()) -> ok.
sm_register_connection_hook(_SID, _JID, _Info) ->
    case get(?MODULE) of
        #local{socket = {_Transport, Owner, Id}} ->
            case ejabberd_megaphone_link:find(Owner) of
                {ok, #link{sender = Sender, has_control = true} = Link} when Sender =/= undefined ->
                    ejabberd_megaphone_sender:control(Link, {logged_in, Id});
                _ ->
                    ok
            end;
        _ ->
            ok
    end.

count(Name, Owner) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{counters = Counters}} -> ejabberd_megaphone_counters:add(Counters, Name);
        error -> ok
    end.

%%% From the link

%% @doc The hook. It runs before all others, and leaves to them what is not from the link.
-spec c2s_handle_info(ejabberd_c2s:state(), term()) -> ejabberd_c2s:state() | {stop, ejabberd_c2s:state()}.
c2s_handle_info(State, {ejabberd_megaphone, Message}) ->
    _ = case get(?MODULE) of
            undefined -> ok;
            Local -> put_local(handle(Message, Local, State))
        end,
    {stop, State};
c2s_handle_info(State, {'$gen_event', {xmlstreamstart, _, _}}) ->
    %% A stream header that was not due. ejabberd's own parser never yields one in that case, so that ejabberd has no answer to it.
    case get(?MODULE) of
        undefined ->
            State;
        Local ->
            self() ! {'$gen_event', {xmlstreamerror, {4, <<"unexpected stream header">>}}},
            put_local(Local#local{is_over = true}),
            {stop, State}
    end;
c2s_handle_info(State, _Info) ->
    State.

handle({packet, Content}, #local{is_over = true} = Local, _State) ->
    taken(Content, Local),
    Local;
handle({packet, Content}, #local{is_blocked = true, input = Input} = Local, _State) ->
    Local#local{input = queue:in(Content, Input)};
handle({packet, Content}, Local, State) ->
    process(Content, Local, State);
handle(unblock, Local, State) ->
    process_input(Local#local{is_blocked = false}, State);
handle(idle, Local, State) ->
    sleep_when_due(Local#local{timer = undefined}, State);
handle({sleep_when_done, Rounds}, Local, State) ->
    sleep_when_done(Rounds, Local, State).

process_input(#local{is_blocked = true} = Local, _State) ->
    Local;
process_input(#local{input = Input} = Local, State) ->
    case queue:out(Input) of
        {{value, Content}, Rest} -> process_input(handle({packet, Content}, Local#local{input = Rest}, State), State);
        {empty, _} -> Local
    end.

process(Content, #local{shaper = Shaper0} = Local, State) ->
    Events = safe_events(Content, Local, State),
    lists:foreach(fun(Event) -> self() ! {'$gen_event', Event} end, Events),
    taken(Content, Local),
    {Shaper, Pause} = update(shaper(Shaper0, State), byte_size(Content)),
    IsBlocked = Pause > 0 orelse must_wait(length(Events), Local, State),
    _ = [unblock_after(Pause) || IsBlocked],
    Local#local{last_active = now_ms(), shaper = Shaper, is_blocked = IsBlocked, is_over = lists:any(fun is_end/1, Events)}.

unblock_after(0) -> self() ! {ejabberd_megaphone, unblock};
unblock_after(Pause) -> erlang:send_after(Pause, self(), {ejabberd_megaphone, unblock}).

%% Before the stream is established, each packet decides whether a stream header is due next. So the next packet has to wait until ejabberd
%% has processed the events of this one; if they are all that is in the mailbox, that happens anyway before the next packet arrives.
must_wait(_Events, _Local, #{stream_state := established}) ->
    false;
must_wait(Events, #local{input = Input}, _State) ->
    not queue:is_empty(Input) orelse get('$internal_queue_len') =/= 0
        orelse process_info(self(), message_queue_len) =/= {message_queue_len, Events}.

%% Whatever is in a packet, its session ends in order, and the packet does not get into the log.
safe_events(Content, #local{options = Key, socket = Socket}, State) ->
    try events(Content, ejabberd_megaphone_shared:get(Key), State)
    catch
        Class:Reason:Stack ->
            log_failure(ejabberd_megaphone_text:failure(Class, Reason, Stack), byte_size(Content), Socket),
            [{xmlstreamerror, {?XML_ERROR_INVALID_TOKEN, <<"cannot be parsed">>}}]
    end.

log_failure(What, Size, {_Transport, Owner, Id}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{counters = Counters} = Link} ->
            ejabberd_megaphone_counters:add(Counters, failures),
            _ = [?ERROR_MSG("Session ~b of link ~ts is ended: a packet of ~b bytes raised an exception: ~ts",
                            [Id, ejabberd_megaphone:peer(Link), Size, What])
                 || ejabberd_megaphone_log:allows(failure, Counters)],
            ok;
        error ->
            ok
    end.

taken(Content, #local{socket = {_Transport, Owner, Id}}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, Link} -> ejabberd_megaphone_delivery:taken(Link, Id, Content);
        error -> ok
    end;
taken(_Content, #local{socket = closed}) ->
    ok.

%% An empty packet stands for the FIN of the client's connection, which to XMPP is the end of both directions.
events(<<>>, _Options, _State) ->
    [closed];
events(Content, #options{max_stanza_size = Max}, _State) when byte_size(Content) >= Max ->
    [{xmlstreamerror, <<"XML stanza is too big">>}];
events(Content, _Options, #{stream_state := StreamState}) ->
    ejabberd_megaphone_xml:events(Content, StreamState =:= wait_for_stream).

is_end(closed) -> true;
is_end({xmlstreamend, _}) -> true;
is_end({xmlstreamerror, _}) -> true;
is_end(_) -> false.

%% ejabberd sets the shaper once, after the login. A session that has slept has to derive it again.
shaper(unknown, #{shaper := none}) ->
    none;
shaper(unknown, #{shaper := Rules, lserver := Host, user := User, server := Server, resource := Resource, ip := {IP, _}}) ->
    ejabberd_shaper:new(ejabberd_shaper:match(Host, Rules, #{usr => jid:split(jid:make(User, Server, Resource)), ip => IP}));
shaper(Shaper, _State) ->
    Shaper.

update(none, _Size) -> {none, 0};
update(Shaper, Size) -> p1_shaper:update(Shaper, Size).

%%% Sleep

%% @doc Called when a sleeping session was woken by a message, before that is handled. `Since' is the time at which it fell asleep, as
%% ejabberd_megaphone_sleep:sleep/4 was given it.
-spec woken(socket() | closed, ejabberd_megaphone_shared:key(), Since :: integer()) -> ok.
woken(Socket, Key, Since) ->
    IsClosed = Socket =:= closed,
    Local = #local{options = Key, socket = Socket, is_over = IsClosed, is_closed = IsClosed, shaper = unknown},
    #options{hibernate_after = After} = ejabberd_megaphone_shared:get(Key),
    %% A session that gets a message once in a while sleeps again as soon as it has handled it, while its memory is in the processor's
    %% cache: a timer would wake the scheduler once more, and the memory would be in use until then. A session that was awake not long ago
    %% takes part in a conversation.
    put_local(case now_ms() - Since >= After of
                  true -> check_again(?ROUNDS, Local);
                  false -> start_timer(Local)
              end).

%% Behind what is in the mailbox.
check_again(0, Local) -> start_timer(Local);
check_again(Rounds, Local) -> self() ! {ejabberd_megaphone, {sleep_when_done, Rounds - 1}}, Local.

sleep_when_done(Rounds, #local{is_blocked = IsBlocked} = Local, State) ->
    case not IsBlocked andalso ejabberd_megaphone_sleep:is_possible_in(State) of
        true -> sleep(Local, State);
        false -> check_again(Rounds, Local)
    end.

sleep_when_due(#local{is_blocked = false} = Local, State) ->
    case due(Local) =< now_ms() of
        true ->
            case ejabberd_megaphone_sleep:is_possible_in(State) of
                true -> sleep(Local, State);
                false -> start_timer(Local#local{last_active = now_ms()})
            end;
        false ->
            start_timer(Local)
    end;
sleep_when_due(Local, _State) ->
    start_timer(Local).

-spec sleep(#local{}, ejabberd_c2s:state()) -> no_return().
sleep(#local{options = Key, socket = Socket, is_closed = IsClosed, timer = Timer}, State) ->
    _ = [erlang:cancel_timer(Timer, [{async, true}, {info, false}]) || Timer =/= undefined],
    erase(?MODULE),
    ejabberd_megaphone_sleep:sleep(State, if IsClosed -> closed; true -> Socket end, Key, now_ms()).

due(#local{is_closed = true, last_active = LastActive}) -> LastActive + ?IDLE_AFTER_CLOSE;
due(#local{options = Key, is_fresh = IsFresh, last_active = LastActive}) ->
    #options{hibernate_after = After} = ejabberd_megaphone_shared:get(Key),
    %% A login leaves five times as much garbage as data, and many may log in before the first of them may sleep.
    LastActive + if IsFresh -> min(After, ?IDLE_AFTER_LOGIN); true -> After end.

%% At most one timer, and none while the session sleeps. It is not restarted for each packet; it may have to be when it fires.
start_timer(#local{options = Key, timer = Timer} = Local) ->
    _ = [erlang:cancel_timer(Timer) || Timer =/= undefined],
    case ejabberd_megaphone_shared:get(Key) of
        #options{hibernate_after = 0} -> Local;
        _ -> Local#local{timer = erlang:send_after(max(?IDLE_AFTER_CLOSE, due(Local) - now_ms()), self(), {ejabberd_megaphone, idle})}
    end.

now_ms() -> erlang:monotonic_time(millisecond).

put_local(Local) -> put(?MODULE, Local), ok.

%% There is none if the link was lost before the session began.
update_local(Change) ->
    case get(?MODULE) of
        undefined -> ok;
        Local -> put_local(Change(Local))
    end.
