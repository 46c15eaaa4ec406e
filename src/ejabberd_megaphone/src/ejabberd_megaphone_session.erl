%%% @doc One session: what ejabberd's c2s process calls for its socket (behaviour xmpp_socket), and what runs in that process
%%% when something comes from the link (hook c2s_handle_info). Everything here but start/4 runs in the c2s process.
%%%
%%% Packets arrive as they were on the wire and are turned into events here, as the parser of an ordinary session does it: it
%%% sends them to its own process. `setopts(Socket, [{active, once}])' therefore only marks the begin: ejabberd would say it
%%% again after each piece that it was given through xmpp_socket, and none is. What it is for is done by counting: see taken/3
%%% in ejabberd_megaphone_receiver.
-module(ejabberd_megaphone_session).
-behaviour(xmpp_socket).

-export([start/4, woken/3]).
-export([send_xml/2, send/2, get_owner/1, get_transport/1, change_shaper/2, controlling_process/2, close/1,
         sockname/1, peername/1, setopts/2, reset_stream/1]).
-export([c2s_handle_info/2, c2s_stream_started/2, c2s_auth_result/3]).
-export_type([socket/0]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").
-include_lib("xmpp/include/xmpp.hrl").

%% ms in which a session whose connection is closed has done what there is to do, and can sleep until it is resumed.
-define(AFTER_CLOSE, 100).
%% ms without input and output after which a session that has never slept is taken to be done with its login.
-define(LOGGED_IN, 1000).
%% How often a session that was woken looks whether it is done. A stanza from the client goes through its mailbox twice.
-define(LOOKS, 2).
%% Expat's number, which ejabberd turns into not-well-formed.
-define(XML_ERROR_INVALID_TOKEN, 4).

-opaque socket() :: {tcp | tls, Owner :: pid(), ejabberd_megaphone_wire:id()}.   % how the client came to its ECM

%% What the c2s process knows besides ejabberd's state, in its process dictionary. While it sleeps it has none.
-record(here,
        {options :: ejabberd_megaphone_shared:key(),
         socket :: socket() | closed,                 % closed: it was, before the session fell asleep
         is_over = false :: boolean(),                % the stream has ended: nothing more is read
         is_closed = false :: boolean(),
         last = now_ms() :: integer(),                % when something came or went
         is_fresh = false :: boolean(),               % it has never slept
         timer :: reference() | undefined,            % for the time to sleep
         shaper = none :: none | p1_shaper:state() | forgotten,
         is_held = false :: boolean(),                % what comes has to wait: for the shaper, or for ejabberd to see what came before
         waiting = queue:new() :: queue:queue(binary())}).

%% @doc Starts a session on a link. It begins with ejabberd_c2s:accept/1.
-spec start(#link{}, ejabberd_megaphone_wire:id(), {endpoint(), endpoint()}, tcp | tls) -> {ok, pid()} | {error, term()}.
start(#link{owner = Owner} = Link, Id, SockPeerName, Transport) ->
    #options{c2s = Options} = ejabberd_megaphone_link:options(Link),
    try ejabberd_c2s:start(?MODULE, {Transport, Owner, Id}, [{sock_peer_name, SockPeerName} | options(Transport) ++ Options]) of
        {ok, Pid} -> {ok, Pid};
        {error, _} = Error -> Error;
        ignore -> {error, ignore}
    catch
        error:system_limit -> {error, system_limit}          % of processes: the sessions that there are go on
    end.

%% TLS that ended before ejabberd is what this option of newer ones was made for: SASL2 as over TLS, and SCRAM from clients that could
%% bind it to the channel.
options(tls) -> [{allow_unencrypted_sasl2, true}];
options(tcp) -> [].

%%% xmpp_socket

-spec send_xml(socket(), xmpp_socket:stream_element()) -> ok | {error, inet:posix()}.
send_xml(Socket, Element) ->
    send(Socket, ejabberd_megaphone_xml:encode(Element)).

-spec send(socket(), iodata()) -> ok | {error, inet:posix()}.
send({_Transport, Owner, Id}, Data) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{sender = Sender} = Link} when Sender =/= undefined ->
            change_here(fun(Here) -> Here#here{last = now_ms()} end),
            ejabberd_megaphone_sender:send(Link, Id, Data);
        _ ->
            {error, closed}
    end.

-spec get_owner(socket()) -> pid().
get_owner({_Transport, Owner, _Id}) -> Owner.

%% TLS, if any, is the ECM's, which says so in the PROXY header.
-spec get_transport(socket()) -> tcp | tls.
get_transport({Transport, _Owner, _Id}) -> Transport.

-spec change_shaper(socket(), none | p1_shaper:state()) -> ok.
change_shaper(_Socket, Shaper) ->
    change_here(fun(Here) -> Here#here{shaper = Shaper} end).

-spec controlling_process(socket(), pid()) -> ok.
controlling_process(_Socket, _Pid) -> ok.

-spec close(socket()) -> ok.
close({_Transport, Owner, Id}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{sender = Sender} = Link} ->
            IsFirst = ejabberd_megaphone_link:end_session(Link, Id),
            _ = [ejabberd_megaphone_sender:finish(Link, Id) || IsFirst, Sender =/= undefined],
            ok;
        error ->
            ok
    end,
    %% A session that waits to be resumed does so asleep.
    change_here(fun(Here) -> start_timer(Here#here{is_closed = true, is_over = true, last = now_ms()}) end).

-spec sockname(socket()) -> {ok, endpoint()} | {error, einval}.
sockname({_Transport, Owner, _Id}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{sock_peer_name = {Here, _}}} -> {ok, Here};
        error -> {error, einval}
    end.

%% Of the link. That of the client is in the options with which the session was started, which come first.
-spec peername(socket()) -> {ok, endpoint()} | {error, einval}.
peername({_Transport, Owner, _Id}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{sock_peer_name = {_, There}}} -> {ok, There};
        error -> {error, einval}
    end.

-spec setopts(socket(), [{active, once}]) -> ok.
setopts({_Transport, Owner, _Id} = Socket, _Options) ->
    case {get(?MODULE), ejabberd_megaphone_link:find(Owner)} of
        {undefined, {ok, #link{options = Key}}} -> put_here(start_timer(#here{options = Key, socket = Socket, is_fresh = true}));
        _ -> ok
    end.

%% There is no parser to reset.
-spec reset_stream(socket()) -> socket().
reset_stream(Socket) -> Socket.

%%% TLS is a client's with its ECM, and ejabberd cannot see into it. Until the login `stream_encrypted' is therefore false, as from it
%%% ejabberd takes that it can bind SCRAM to the channel, and offers the -PLUS mechanisms. Whether TLS is required is decided here, as
%%% with its own `starttls_required' ejabberd would offer STARTTLS, which there is nothing to put on.

%% @doc The hook. A client that came to its ECM without TLS has no way to it here.
-spec c2s_stream_started(ejabberd_c2s:state(), stream_start()) -> ejabberd_c2s:state() | {stop, ejabberd_c2s:state()}.
c2s_stream_started(#{lang := Language} = State, _StreamStart) ->
    case get(?MODULE) of
        #here{options = Key, socket = {tcp, Owner, _Id}} ->
            case ejabberd_megaphone_shared:get(Key) of
                #options{starttls_required = true} ->
                    count(tls_missing, Owner),
                    {stop, xmpp_stream_in:send(State, xmpp:serr_policy_violation(<<"TLS is required">>, Language))};
                _ ->
                    State
            end;
        _ ->
            State
    end.

%% @doc The hook. After the login nothing is derived from it any more, and modules shall see it as it is.
-spec c2s_auth_result(ejabberd_c2s:state(), true | {false, binary()}, binary()) -> ejabberd_c2s:state().
c2s_auth_result(State, true, _User) ->
    case get(?MODULE) of
        #here{socket = {tls, _Owner, _Id}} -> State#{stream_encrypted => true};
        _ -> State
    end;
c2s_auth_result(State, _Failure, _User) ->
    State.

count(Name, Owner) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{counters = Counters}} -> ejabberd_megaphone_counters:add(Counters, Name);
        error -> ok
    end.

%%% From the link

%% @doc The hook. It comes before all others, and leaves to them what is not ours.
-spec c2s_handle_info(ejabberd_c2s:state(), term()) -> ejabberd_c2s:state() | {stop, ejabberd_c2s:state()}.
c2s_handle_info(State, {ejabberd_megaphone, Message}) ->
    _ = case get(?MODULE) of
            undefined -> ok;
            Here -> put_here(handle(Message, Here, State))
        end,
    {stop, State};
c2s_handle_info(State, {'$gen_event', {xmlstreamstart, _, _}}) ->
    %% It comes to here where no header was due. ejabberd's own parser cannot give one then, so nobody waits for it.
    case get(?MODULE) of
        undefined ->
            State;
        Here ->
            self() ! {'$gen_event', {xmlstreamerror, {4, <<"unexpected stream header">>}}},
            put_here(Here#here{is_over = true}),
            {stop, State}
    end;
c2s_handle_info(State, _Info) ->
    State.

handle({packet, Content}, #here{is_over = true} = Here, _State) ->
    taken(Content, Here),
    Here;
handle({packet, Content}, #here{is_held = true, waiting = Waiting} = Here, _State) ->
    Here#here{waiting = queue:in(Content, Waiting)};
handle({packet, Content}, Here, State) ->
    process(Content, Here, State);
handle(go_on, Here, State) ->
    process_waiting(Here#here{is_held = false}, State);
handle(idle, Here, State) ->
    sleep_when_due(Here#here{timer = undefined}, State);
handle({look, Left}, Here, State) ->
    sleep_when_done(Left, Here, State).

process_waiting(#here{is_held = true} = Here, _State) ->
    Here;
process_waiting(#here{waiting = Waiting} = Here, State) ->
    case queue:out(Waiting) of
        {{value, Content}, Rest} -> process_waiting(handle({packet, Content}, Here#here{waiting = Rest}, State), State);
        {empty, _} -> Here
    end.

process(Content, #here{shaper = Shaper0} = Here, State) ->
    Events = safe_events(Content, Here, State),
    lists:foreach(fun(Event) -> self() ! {'$gen_event', Event} end, Events),
    taken(Content, Here),
    {Shaper, Pause} = update(shaper(Shaper0, State), byte_size(Content)),
    IsHeld = Pause > 0 orelse must_wait(length(Events), Here, State),
    _ = [go_on_after(Pause) || IsHeld],
    Here#here{last = now_ms(), shaper = Shaper, is_held = IsHeld, is_over = lists:any(fun is_end/1, Events)}.

go_on_after(0) -> self() ! {ejabberd_megaphone, go_on};
go_on_after(Pause) -> erlang:send_after(Pause, self(), {ejabberd_megaphone, go_on}).

%% Before the stream is established each packet decides whether a stream header is due next, so that the next one has to wait until
%% ejabberd has seen this one's events. It does so by itself if they are all that is in the mailbox.
must_wait(_Events, _Here, #{stream_state := established}) ->
    false;
must_wait(Events, #here{waiting = Waiting}, _State) ->
    not queue:is_empty(Waiting) orelse get('$internal_queue_len') =/= 0
        orelse process_info(self(), message_queue_len) =/= {message_queue_len, Events}.

%% Whatever a packet is, its session ends in order, and the log does not get the packet.
safe_events(Content, #here{options = Key, socket = Socket}, State) ->
    try events(Content, ejabberd_megaphone_shared:get(Key), State)
    catch
        Class:Reason:Stack ->
            tell_failure(ejabberd_megaphone_text:failure(Class, Reason, Stack), byte_size(Content), Socket),
            [{xmlstreamerror, {?XML_ERROR_INVALID_TOKEN, <<"cannot be read">>}}]
    end.

tell_failure(What, Size, {_Transport, Owner, Id}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, #link{counters = Counters} = Link} ->
            ejabberd_megaphone_counters:add(Counters, failures),
            _ = [?ERROR_MSG("Session ~b of link ~ts is ended: a packet of ~b bytes made this module fail: ~ts",
                            [Id, ejabberd_megaphone:peer(Link), Size, What])
                 || ejabberd_megaphone_log:allows(failure, Counters)],
            ok;
        error ->
            ok
    end.

taken(Content, #here{socket = {_Transport, Owner, Id}}) ->
    case ejabberd_megaphone_link:find(Owner) of
        {ok, Link} -> ejabberd_megaphone_receiver:taken(Link, Id, Content);
        error -> ok
    end;
taken(_Content, #here{socket = closed}) ->
    ok.

%% An empty packet is the FIN of the client's connection, which to XMPP is the end of all of it.
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

%% A session that has slept has forgotten how fast it may be, which ejabberd says once, after the login.
shaper(forgotten, #{shaper := none}) ->
    none;
shaper(forgotten, #{shaper := Rules, lserver := Host, user := User, server := Server, resource := Resource, ip := {IP, _}}) ->
    ejabberd_shaper:new(ejabberd_shaper:match(Host, Rules, #{usr => jid:split(jid:make(User, Server, Resource)), ip => IP}));
shaper(Shaper, _State) ->
    Shaper.

update(none, _Size) -> {none, 0};
update(Shaper, Size) -> p1_shaper:update(Shaper, Size).

%%% Sleep

%% @doc Called when a sleeping session has woken up. It will find out what for. `Since' is when it fell asleep; see sleep/4 in
%% ejabberd_megaphone_sleep.
-spec woken(socket() | closed, ejabberd_megaphone_shared:key(), Since :: integer()) -> ok.
woken(Socket, Key, Since) ->
    IsClosed = Socket =:= closed,
    Here = #here{options = Key, socket = Socket, is_over = IsClosed, is_closed = IsClosed, shaper = forgotten},
    #options{hibernate_after = After} = ejabberd_megaphone_shared:get(Key),
    %% Who is written to once in a while sleeps again as soon as that is done, while all of it is in the processor's cache. A timer
    %% would wake the scheduler once more, and leave the memory in use until then. Who was awake just now is in a conversation.
    put_here(case now_ms() - Since >= After of
                 true -> look(?LOOKS, Here);
                 false -> start_timer(Here)
             end).

%% Behind what is in the mailbox.
look(0, Here) -> start_timer(Here);
look(Left, Here) -> self() ! {ejabberd_megaphone, {look, Left - 1}}, Here.

sleep_when_done(Left, #here{is_held = IsHeld} = Here, State) ->
    case not IsHeld andalso ejabberd_megaphone_sleep:may(State) of
        true -> sleep(Here, State);
        false -> look(Left, Here)
    end.

sleep_when_due(#here{is_held = false} = Here, State) ->
    case due(Here) =< now_ms() of
        true ->
            case ejabberd_megaphone_sleep:may(State) of
                true -> sleep(Here, State);
                false -> start_timer(Here#here{last = now_ms()})
            end;
        false ->
            start_timer(Here)
    end;
sleep_when_due(Here, _State) ->
    start_timer(Here).

-spec sleep(#here{}, ejabberd_c2s:state()) -> no_return().
sleep(#here{options = Key, socket = Socket, is_closed = IsClosed, timer = Timer}, State) ->
    _ = [erlang:cancel_timer(Timer, [{async, true}, {info, false}]) || Timer =/= undefined],
    erase(?MODULE),
    ejabberd_megaphone_sleep:sleep(State, if IsClosed -> closed; true -> Socket end, Key, now_ms()).

due(#here{is_closed = true, last = Last}) -> Last + ?AFTER_CLOSE;
due(#here{options = Key, is_fresh = IsFresh, last = Last}) ->
    #options{hibernate_after = After} = ejabberd_megaphone_shared:get(Key),
    %% A login leaves five times as much garbage as there is to keep, and many may log in before the first of them is to sleep.
    Last + if IsFresh -> min(After, ?LOGGED_IN); true -> After end.

%% One timer at most, and none while the session sleeps. It is not started anew for each packet: when it fires, it may find
%% that it has to be started once more.
start_timer(#here{options = Key, timer = Timer} = Here) ->
    _ = [erlang:cancel_timer(Timer) || Timer =/= undefined],
    case ejabberd_megaphone_shared:get(Key) of
        #options{hibernate_after = 0} -> Here;
        _ -> Here#here{timer = erlang:send_after(max(?AFTER_CLOSE, due(Here) - now_ms()), self(), {ejabberd_megaphone, idle})}
    end.

now_ms() -> erlang:monotonic_time(millisecond).

put_here(Here) -> put(?MODULE, Here), ok.

%% There is nothing to change when the link was lost before the session had begun.
change_here(Change) ->
    case get(?MODULE) of
        undefined -> ok;
        Here -> put_here(Change(Here))
    end.
