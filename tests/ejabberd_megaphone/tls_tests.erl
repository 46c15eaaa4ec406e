%%% TLS on links, with this test as the ECM.
-module(tls_tests).

-include_lib("eunit/include/eunit.hrl").

-import(test_certificates, [file/2]).

an_ecm_may_use_tls_1_2_or_1_3_but_no_older_version_test() ->
    with(fun(#{nobody := Ecm} = Certificates) ->
        [begin
             {Accepted, Connected} = handshake(server(Certificates), [{versions, [Version]} | Ecm]),
             ?assertMatch({ok, _}, Accepted),
             ?assertMatch({ok, _}, Connected)
         end || Version <- ['tlsv1.2', 'tlsv1.3']],
        {Accepted, Connected} = handshake(server(Certificates), [{versions, ['tlsv1.1']} | Ecm]),
        ?assertMatch({error, _}, Accepted),
        ?assertMatch({error, _}, Connected)
    end).

suites_without_forward_secrecy_or_authenticated_encryption_are_refused_test() ->
    with(fun(#{nobody := Ecm} = Certificates) ->
        Weak = [Suite || Suite <- ssl:cipher_suites(all, 'tlsv1.2', openssl), not is_strong(Suite)],
        ?assertMatch({{error, _}, {error, _}}, handshake(server(Certificates), [{versions, ['tlsv1.2']}, {ciphers, Weak} | Ecm]))
    end).

with_a_cafile_every_ecm_needs_a_certificate_from_it_test_() ->
    [{atom_to_list(Version), fun() ->
        with(fun(#{folder := Folder} = Certificates) ->
            Settings = (server(Certificates))#{cafile := file(Folder, ecms)},
            Come = fun(Who) -> element(1, handshake(Settings, [{versions, [Version]} | maps:get(Who, Certificates)])) end,
            ?assertMatch({ok, _}, Come(ecm)),
            ?assertMatch({error, _}, Come(stranger)),
            ?assertMatch({error, _}, Come(nobody)),
            %% A certificate may be in the file itself, if it is valid otherwise.
            ?assertMatch({ok, _}, Come(alone)),
            ?assertMatch({error, _}, Come(expired)),
            ?assertMatch({error, _}, Come(unknown))
        end)
     end} || Version <- ['tlsv1.2', 'tlsv1.3']].

bytes_that_are_not_tls_fail_the_handshake_test() ->
    with(fun(Certificates) ->
        Speak = fun(Bytes) ->
                        {Accepted, _} = handshake(server(Certificates), fun(Socket) -> ok = gen_tcp:send(Socket, Bytes), ok end),
                        Accepted
                end,
        [?assertMatch({error, "the TLS handshake failed: " ++ _}, text(Speak(Bytes)))
         || Bytes <- [<<"0000000041|00000000000000000007|PRESENCE!">>, <<"GET / HTTP/1.1\r\n\r\n">>,
                      <<22, 3, 1, 0, 5, 1, 0, 0, 1, 0>>, <<22, 3, 1, 255, 255, 0:800>>]]
    end).

an_end_in_the_middle_of_the_handshake_is_reported_as_such_test() ->
    with(fun(Certificates) ->
        {Accepted, _} = handshake(server(Certificates), fun(Socket) -> gen_tcp:send(Socket, <<22, 3, 1>>), gen_tcp:close(Socket) end),
        ?assertEqual({error, "it was closed during the TLS handshake"}, text(Accepted))
    end).

%% The chain is sent, too: this ECM knows the root only.
new_files_are_used_for_the_next_link_test() ->
    with(fun(#{folder := Folder} = Certificates) ->
        {_, {ok, Before}} = handshake(server(Certificates), maps:get(nobody, Certificates)),
        with(fun(#{folder := New, nobody := Ecm}) ->
            {ok, _} = file:copy(file(New, server), file(Folder, server)),
            {_, {ok, After}} = handshake(server(Certificates), Ecm),
            ?assertNotEqual(ssl:peercert(Before), ssl:peercert(After))
        end)
    end).

files_without_the_expected_content_are_reported_test() ->
    with(fun(#{folder := Folder}) ->
        Check = fun(Certfile, Cafile) ->
                        text(ejabberd_megaphone_tls:check(#{certfile => file(Folder, Certfile), cafile => Cafile}))
                end,
        ?assertEqual(ok, ejabberd_megaphone_tls:check(#{certfile => file(Folder, server), cafile => file(Folder, ecms)})),
        ?assertEqual({error, file(Folder, missing) ++ ": no such file or directory"}, Check(missing, undefined)),
        ?assertEqual({error, file(Folder, garbage) ++ " has no certificate in it"}, Check(garbage, undefined)),
        ?assertEqual({error, file(Folder, keyless) ++ " has no unencrypted key in it; it should be behind the certificates"},
                     Check(keyless, undefined)),
        ?assertEqual({error, file(Folder, garbage) ++ " has no certificate in it"}, Check(server, file(Folder, garbage)))
    end).

%%% Help

with(Test) ->
    {ok, _} = application:ensure_all_started(ssl),
    test_certificates:with(Test).

is_strong("ECDHE-" ++ Suite) -> string:find(Suite, "GCM") =/= nomatch orelse string:find(Suite, "CHACHA20") =/= nomatch;
is_strong(_) -> false.

server(#{folder := Folder}) -> #{certfile => file(Folder, server), cafile => undefined}.

text({error, Why}) -> {error, unicode:characters_to_list(Why)};
text(Result) -> Result.

%% The results of a handshake at our end and at the ECM's, which has options of ssl, or is a function that does something else. The ECM
%% reads a byte, because with TLS 1.3 it learns only then that its certificate was refused.
handshake(Settings, Ecm) ->
    {ok, Listening} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, binary, {active, false}]),
    {ok, Port} = inet:port(Listening),
    Test = self(),
    Pid = spawn_link(fun() ->
                             {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
                             Test ! {self(), connected(Socket, Ecm)},
                             receive stop -> ok end
                     end),
    {ok, Accepted} = gen_tcp:accept(Listening, 1000),
    Result = ejabberd_megaphone_tls:accept(Accepted, Settings),
    _ = [ok = ssl:send(Socket, <<"!">>) || {ok, Socket} <- [Result]],
    receive
        {Pid, Connected} ->
            gen_tcp:close(Listening),
            {Result, Connected}
    after 50000 -> exit(no_handshake)
    end.

connected(Socket, Do) when is_function(Do) ->
    Do(Socket);
connected(Socket, Options) ->
    case ssl:connect(Socket, [{log_level, none} | Options], 2000) of
        {ok, TlsSocket} ->
            case ssl:recv(TlsSocket, 1, 2000) of
                {ok, <<"!">>} -> {ok, TlsSocket};
                Error -> Error
            end;
        Error ->
            Error
    end.
