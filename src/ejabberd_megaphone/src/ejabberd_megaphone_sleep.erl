%%% @doc The sleep of a session that has nothing to do: its c2s process hibernates, and what its state has in common with those of other
%%% sessions is kept once.
%%%
%%% ejabberd's c2s process is a p1_server, which hibernates if its callback module asks for it. xmpp_stream_in never does; but p1_server
%%% exports the function in which it wakes up. That function is not documented; where it is missing, sessions stay awake.
-module(ejabberd_megaphone_sleep).

-export([is_possible/0, is_possible_in/1, sleep/4, wake/4, pack/1, unpack/1]).

-include("ejabberd_megaphone.hrl").
-include_lib("xmpp/include/xmpp.hrl").

%% Keys whose values are always a session's own, and must not be kept in a template.
-define(OWN, [owner, socket, socket_monitor, stream_id, ip, user, resource, jid, sid, pres_last, pres_timestamp,
              mgmt_id, mgmt_queue]).

%% @doc Whether this ejabberd's sessions can sleep.
-spec is_possible() -> boolean().
is_possible() ->
    code:ensure_loaded(p1_server) =:= {module, p1_server} andalso erlang:function_exported(p1_server, wake_hib, 6).

%% @doc Whether the calling c2s process can sleep in this state: the stream is established, or over and waiting to be resumed (XEP-0198);
%% and there is no message in its mailbox, nor in p1_server's internal queue, which would be lost.
-spec is_possible_in(ejabberd_c2s:state()) -> boolean().
is_possible_in(State) ->
    IsQuiet = case State of
                  #{stream_state := established, stream_timeout := infinity} -> true;
                  #{stream_state := disconnected, mgmt_state := pending, stream_timeout := infinity} -> true;
                  _ -> false
              end,
    IsQuiet andalso get('$internal_queue_len') =:= 0
        andalso process_info(self(), message_queue_len) =:= {message_queue_len, 0}
        andalso (is_possible() orelse warn()).

%% It was possible when the listener was started; p1_server has been upgraded since.
warn() ->
    ejabberd_megaphone_registry:warn_once(no_sleep, "p1_server has no wake_hib/6 any more: idle sessions stay awake from now on"),
    false.

%% @doc Puts the calling c2s process to sleep until a message arrives. `Key' is that of its #options{}, `Now' the time that
%% ejabberd_megaphone_session:woken/3 is given when it wakes. Does not return: the call stack is discarded.
-spec sleep(ejabberd_c2s:state(), ejabberd_megaphone_session:socket() | closed, ejabberd_megaphone_shared:key(), Now :: integer()) ->
          no_return().
sleep(State, Socket, Key, Now) ->
    #options{compact = Compact} = ejabberd_megaphone_shared:get(Key),
    Kept = case {Compact, erase(?MODULE)} of
               {false, _} -> State;
               {true, {State, Packed}} when is_tuple(Packed) -> Packed;   % unchanged since it woke up
               {true, _} -> pack(State)
           end,
    %% The state of the random number generator is the larger part of the process dictionary, and is made anew when it is needed.
    erase(rand_seed),
    %% For crash reports, where it is a list of seven processes; a literal is not the process's own.
    put('$ancestors', [ejabberd_sup]),
    proc_lib:hibernate(?MODULE, wake, [Kept, shared_with(Kept, Socket), Key, Now]).

%% The same term as in what is kept of the state, so that there is only one.
shared_with(Kept, Socket) when is_tuple(Kept) ->
    case lists:keyfind(socket_state, 1, tuple_to_list(Kept)) of
        State when element(3, State) =:= Socket -> element(3, State);
        _ -> Socket
    end;
shared_with(_Kept, Socket) ->
    Socket.

%% @private
-spec wake(tuple() | ejabberd_c2s:state(), ejabberd_megaphone_session:socket() | closed,
           ejabberd_megaphone_shared:key(), Since :: integer()) -> no_return().
wake(Kept, Socket, Key, Since) ->
    ok = ejabberd_megaphone_session:woken(Socket, Key, Since),
    #options{max_queue = MaxQueue} = ejabberd_megaphone_shared:get(Key),
    State = unpack(Kept),
    put(?MODULE, {State, Kept}),
    case is_possible() of
        true ->
            %% Parent and name of a p1_server that was started without link and name are the process itself.
            p1_server:wake_hib(self(), self(), State, xmpp_stream_in, [], {limits, MaxQueue});
        false ->
            %% p1_server was upgraded while this session slept.
            p1_server:enter_loop(xmpp_stream_in, [{max_queue, MaxQueue} || MaxQueue =/= undefined], State)
    end.

%% @doc The state as a tuple of what differs from a template: `{Hash, Mask, Value...}'. Bit N of the mask stands for the Nth key of the
%% template. A state for which there is no template, because there are too many, stays as it is.
-spec pack(map()) -> tuple() | map().
pack(State0) ->
    State = without_jids(State0),
    Hash = erlang:phash2(maps:keys(State)),
    case template(Hash, State) of
        %% Otherwise there are too many templates, or this one has other keys with the same hash.
        Template when is_map(Template), map_size(Template) =:= map_size(State) ->
            try differences(maps:to_list(Template), State, 1, 0, []) of
                {Mask, Values} -> list_to_tuple([Hash, Mask | share(Values, maps:values(Template))])
            catch
                error:{badkey, _} -> State0
            end;
        _ ->
            State0
    end.

template(Hash, State) ->
    case ejabberd_megaphone_shared:get({template, Hash}, none) of
        none ->
            Template = maps:merge(State, maps:with(maps:keys(State), maps:from_keys(?OWN, own))),
            ejabberd_megaphone_registry:add_template({template, Hash}, Template);
        Template ->
            Template
    end.

differences([{Key, Shared} | Rest], State, Bit, Mask, Values) ->
    case maps:get(Key, State) of
        Shared -> differences(Rest, State, Bit bsl 1, Mask, Values);
        Value -> differences(Rest, State, Bit bsl 1, Mask bor Bit, [Value | Values])
    end;
differences([], _State, _Bit, Mask, Values) ->
    {Mask, lists:reverse(Values)}.

%% The same terms, with equal ones kept once. A session's JID alone is in its state four times, and so are its parts; and the name of the
%% server is in the template.
share(Terms, Known) ->
    Seen = maps:from_list([{Term, Term} || Term <- Known, is_binary(Term)]),
    element(1, lists:mapfoldl(fun share_term/2, Seen, Terms)).

share_term(Term, Seen) when is_binary(Term) ->
    share_same(Term, Seen);
share_term(Term, Seen0) when is_tuple(Term), Term =/= {} ->
    {Elements, Seen} = lists:mapfoldl(fun share_term/2, Seen0, tuple_to_list(Term)),
    share_same(list_to_tuple(Elements), Seen);
share_term(Term, Seen) ->
    {Term, Seen}.

share_same(Term, Seen) ->
    case Seen of
        #{Term := Same} -> {Same, Seen};
        _ -> {Term, Seen#{Term => Term}}
    end.

%% @doc The state that pack/1 was given.
-spec unpack(tuple() | map()) -> map().
unpack(State) when is_map(State) ->
    State;
unpack(Packed) ->
    [Hash, Mask | Values] = tuple_to_list(Packed),
    Template = ejabberd_megaphone_shared:get({template, Hash}),
    with_jids(restore(maps:keys(Template), Mask, Values, Template)).

restore(_Keys, 0, [], State) -> State;
restore([Key | Keys], Mask, [Value | Values], State) when Mask band 1 =:= 1 ->
    restore(Keys, Mask bsr 1, Values, State#{Key := Value});
restore([_ | Keys], Mask, Values, State) ->
    restore(Keys, Mask bsr 1, Values, State).

%% The user's own JID, full and bare, is made of what else is in the state: `own' stands for it there, and in the last presence, which goes from
%% the full one to the bare one. In a template `own' is what stands for the JID anyway.
without_jids(#{jid := Full} = State) ->
    case {own_jid(State), State} of
        {Full, #{pres_last := Presence}} -> State#{jid := own, pres_last := without_jids(Presence, Full)};
        {Full, _} -> State#{jid := own};
        _ -> State
    end;
without_jids(State) ->
    State.

without_jids(#presence{from = Full, to = To} = Presence, Full) ->
    case bare(Full) of
        To -> Presence#presence{from = own, to = own};
        _ -> Presence
    end;
without_jids(Presence, _Full) ->
    Presence.

with_jids(#{jid := own} = State) ->
    case {own_jid(State), State} of
        {Full, #{pres_last := #presence{from = own} = Presence}} ->
            State#{jid := Full, pres_last := Presence#presence{from = Full, to = bare(Full)}};
        {Full, _} ->
            State#{jid := Full}
    end;
with_jids(State) ->
    State.

own_jid(#{user := User, lserver := Server, resource := Resource}) ->
    #jid{user = User, server = Server, resource = Resource, luser = User, lserver = Server, lresource = Resource};
own_jid(_State) ->
    none.

bare(#jid{} = JID) -> JID#jid{resource = <<>>, lresource = <<>>}.
