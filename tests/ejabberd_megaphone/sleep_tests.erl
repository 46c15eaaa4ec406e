%%% What sleeping sessions rely on.
-module(sleep_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-include_lib("xmpp/include/xmpp.hrl").
-include("ejabberd_megaphone.hrl").
-import(ejabberd_megaphone_sleep, [pack/1, unpack/1]).

p1_server_still_exports_the_function_in_which_it_wakes_test() ->
    ?assert(ejabberd_megaphone_sleep:is_possible()).

%% wake_hib/6 has the arguments that we think, and handles the message as if the process had never slept.
a_p1_server_wakes_up_with_its_state_test() ->
    {ok, Pid} = p1_server:start(sleeper, [], []),
    ?assertEqual(1, p1_server:call(Pid, count)),
    Pid ! sleep,
    ?assert(is_asleep(Pid, 100)),
    ?assertEqual(2, p1_server:call(Pid, count)),
    ?assertNot(is_asleep(Pid, 0)),
    Pid ! sleep,
    ?assert(is_asleep(Pid, 100)),
    Monitor = monitor(process, Pid),
    p1_server:cast(Pid, stop),
    receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(normal, Reason) after 50000 -> ?assert(false) end.

is_asleep(Pid, Tries) ->
    case process_info(Pid, current_function) of
        {current_function, {erlang, hibernate, 3}} -> true;
        _ when Tries > 0 -> timer:sleep(10), is_asleep(Pid, Tries - 1);
        _ -> false
    end.

%% It keeps the name of the function in which it will wake, not its code.
a_process_sleeps_on_when_the_modules_are_loaded_again_twice_test() ->
    Key = ejabberd_megaphone_shared:publish(#options{compact = false}),
    Pid = spawn(fun() -> ejabberd_megaphone_sleep:sleep(#{}, closed, Key, 0) end),
    ?assert(is_asleep(Pid, 100)),
    lists:foreach(fun(Module) ->
                          ?assert(code:soft_purge(Module)),
                          {module, Module} = code:load_file(Module)
                  end, lists:append(lists:duplicate(3, [ejabberd_megaphone_sleep, ejabberd_megaphone_session]))),
    ?assert(is_asleep(Pid, 0)),
    exit(Pid, kill),
    ejabberd_megaphone_shared:erase().

unpack_is_the_inverse_of_pack_test_() ->
    {setup, fun registry/0, fun stop/1,
     [property:test(prop_same(), 500),
      property:test(prop_same_with_jids(), 500),
      ?_test(packed_states_share_what_is_equal()),
      ?_test(packed_states_have_no_jids_of_their_own())]}.

prop_same() ->
    Keys = [owner, socket, a, b, c, d, e, f] ++ [list_to_atom("key" ++ integer_to_list(N)) || N <- lists:seq(1, 40)],
    ?FORALL({Size, Values}, {range(1, 48), vector(48, oneof([1, 1.0, <<"value">>, {a, tuple}, any()]))},
            begin
                State = maps:from_list(lists:sublist(lists:zip(Keys, Values), Size)),
                State =:= unpack(pack(State))
            end).

%% Whatever the JIDs are, those that are made of the state's parts and others.
prop_same_with_jids() ->
    ?FORALL({User, Resource, JID, From, To}, {name(), name(), jid(), jid(), jid()},
            begin
                State = state(User, Resource, JID, #presence{from = From, to = To}),
                State =:= unpack(pack(State))
            end).

name() -> oneof([<<"juliet">>, <<"Juliet">>, <<"balcony">>]).

jid() -> ?LET({User, Resource}, {name(), oneof([<<>>, name()])}, oneof([jid(User, Resource), undefined])).

%% jid:make/3 takes a library that is not loaded here.
jid(User, Resource) ->
    Lower = string:lowercase(User),
    #jid{user = User, server = <<"localhost">>, resource = Resource, luser = Lower, lserver = <<"localhost">>, lresource = Resource}.

state(User, Resource, JID, Presence) ->
    #{user => User, lserver => <<"localhost">>, resource => Resource, jid => JID, pres_last => Presence}.

packed_states_have_no_jids_of_their_own() ->
    State = fun(User) ->
                    JID = jid(User, <<"balcony">>),
                    state(User, <<"balcony">>, JID, #presence{from = JID, to = jid(User, <<>>)})
            end,
    _ = pack(State(<<"juliet">>)),
    Packed = pack(State(<<"romeo">>)),
    ?assertEqual(State(<<"romeo">>), unpack(Packed)),
    ?assertEqual([], [Part || Part <- tuple_to_list(Packed), is_record(Part, jid)]),
    ?assertMatch([#presence{from = own, to = own}], [Part || Part <- tuple_to_list(Packed), is_record(Part, presence)]).

packed_states_share_what_is_equal() ->
    State = fun(N) -> #{owner => self(), jid => N, own => {N, <<"n">>}, server => <<"localhost">>, lang => <<"en">>,
                        access => all, xmlns => <<"jabber:client">>} end,
    _ = pack(State(1)),
    Packed = pack(State(2)),
    ?assertEqual(State(2), unpack(Packed)),
    ?assertEqual(2 + 3, tuple_size(Packed)),               % owner, jid, own
    ?assert(erts_debug:flat_size(Packed) < erts_debug:flat_size(State(2))).

%% Stands for ejabberd_megaphone_registry: keeps templates.
registry() ->
    Pid = spawn(fun() -> serve(#{}) end),
    register(ejabberd_megaphone_registry, Pid),
    Pid.

stop(Pid) ->
    exit(Pid, kill),
    ejabberd_megaphone_shared:erase().

serve(Templates) ->
    receive
        {'$gen_call', From, {add_template, Key, Template}} ->
            Kept = maps:merge(#{Key => Template}, Templates),
            is_map_key(Key, Templates) orelse ejabberd_megaphone_shared:put_new(Key, Template),
            gen_server:reply(From, maps:get(Key, Kept)),
            serve(Kept)
    end.
