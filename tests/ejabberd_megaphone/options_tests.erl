%%% The listener's options.
-module(options_tests).

-include_lib("eunit/include/eunit.hrl").

%% ejabberd takes an exception here for an option of its own.
every_option_of_our_own_has_a_type_that_accepts_its_default_test_() ->
    [{atom_to_list(Name), ?_assertEqual(Value, (ejabberd_megaphone:listen_opt_type(Name))(Written))}
     || {Name, Written, Value} <- [{framing, stanza, stanza}, {secret, <<>>, <<>>}, {allow_open_listener, false, false},
                                   {keep_alive, 15, 15000}, {max_packet, 1048576, 1048576}, {hibernate_after, 10, 10000},
                                   {compact, true, true}, {close_rate, 5000, 5000}, {resume_timeout, 90, 90000}, {resume_timeout, 0, 0},
                                   {buffer_total, 268435456, 268435456}, {max_links, 256, 256},
                                   {starttls_required, false, false}, {proxy_header, optional, optional}]].

proxy_header_is_one_of_three_words_test() ->
    Type = ejabberd_megaphone:listen_opt_type(proxy_header),
    [?assertEqual(Word, Type(Word)) || Word <- [required, optional, forbidden]],
    [?assertError(_, Type(Word)) || Word <- [true, none, <<"v2">>]].

every_option_has_its_default_in_the_list_test_() ->
    [{atom_to_list(Name), ?_assertEqual({Name, Value}, lists:keyfind(Name, 1, ejabberd_megaphone:listen_options()))}
     || {Name, Value} <- [{framing, stanza}, {secret, <<>>}, {allow_open_listener, false}, {keep_alive, 15000},
                          {max_packet, 1048576}, {hibernate_after, 10000}, {compact, true}, {close_rate, 5000},
                          {resume_timeout, 90000}, {max_links, 256}, {buffer_total, 268435456}, {backlog, 1024}, {tls, false}, {certfile, undefined},
                          {cafile, undefined}, {starttls_required, false}, {proxy_header, optional}]].

%% Section 6 of the link protocol.
beyond_loopback_a_listener_requires_a_secret_or_certificates_or_the_operators_consent_test_() ->
    [{lists:flatten(io_lib:format("~0p ~0p", [Ip, Options])), ?_assertEqual(Listens, listens(Ip, Options))}
     || {Listens, Ip, Options} <-
            [{true, {127, 0, 0, 1}, []},
             {true, {127, 0, 0, 1}, [{tls, true}]},
             {false, {0, 0, 0, 0}, []},
             {false, {0, 0, 0, 0}, [{tls, true}]},
             {false, {0, 0, 0, 0, 0, 0, 0, 0}, [{tls, true}]},
             {true, {0, 0, 0, 0}, [{tls, true}, {cafile, <<"ecms.pem">>}]},
             {true, {0, 0, 0, 0}, [{secret, <<"secret">>}]},
             {true, {0, 0, 0, 0}, [{tls, true}, {secret, <<"secret">>}]},
             {true, {0, 0, 0, 0}, [{allow_open_listener, true}]},
             %% It has no effect, and whoever wrote it believes otherwise.
             {false, {0, 0, 0, 0}, [{cafile, <<"ecms.pem">>}]},
             {false, {127, 0, 0, 1}, [{cafile, <<"ecms.pem">>}]},
             {false, {127, 0, 0, 1}, [{certfile, <<"server.pem">>}]},
             {false, {0, 0, 0, 0}, [{cafile, <<"ecms.pem">>}, {secret, <<"secret">>}]},
             {true, {127, 0, 0, 1}, [{starttls_required, true}, {proxy_header, required}]},
             {true, {127, 0, 0, 1}, [{resume_timeout, 60000}]},
             {true, {127, 0, 0, 1}, [{resume_timeout, 0}]},
             %% An ECM may find out too late that its link is cut.
             {false, {127, 0, 0, 1}, [{resume_timeout, 59000}]},
             {false, {127, 0, 0, 1}, [{resume_timeout, 100000}, {keep_alive, 30000}]},
             {true, {127, 0, 0, 1}, [{keep_alive, 60000}]},
             %% No client would be accepted.
             {false, {127, 0, 0, 1}, [{starttls_required, true}, {proxy_header, forbidden}]}]].

listens(Ip, Options) ->
    %% Stands for ejabberd_megaphone_registry.
    {Registry, Monitor} = spawn_monitor(fun() ->
        receive {'$gen_call', From, {add_listener, _, _}} -> gen_server:reply(From, {key, counters}) end
    end),
    register(ejabberd_megaphone_registry, Registry),
    {ok, Socket} = gen_tcp:listen(0, [{ip, Ip} || tuple_size(Ip) =:= 4] ++ [inet6 || tuple_size(Ip) =:= 8]),
    try ejabberd_megaphone:tcp_init(Socket, [{certfile, <<"missing.pem">>} || lists:member({tls, true}, Options)]
                                            ++ [{max_fsm_queue, 1000} | Options]) of
        State -> lists:keymember(ejabberd_megaphone, 1, State)
    catch
        exit:normal ->
            ?assertEqual({error, einval}, inet:sockname(Socket)),
            false
    after
        gen_tcp:close(Socket),
        exit(Registry, kill),
        %% By then its name is free again.
        receive {'DOWN', Monitor, process, Registry, _} -> ok end
    end.
