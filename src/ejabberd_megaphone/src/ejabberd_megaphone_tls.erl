%%% @doc TLS on links, by OTP's ssl: versions 1.2 and 1.3, with forward secrecy and authenticated encryption. Links are few, so the files
%%% are read for each of them: the next link uses what has been renewed.
-module(ejabberd_megaphone_tls).

-export([accept/2, check/1, is_hello/1]).
-export_type([settings/0]).

%% ms that a handshake may take.
-define(HANDSHAKE_TIMEOUT, 10000).

-define(CIPHERS, [aes_256_gcm, chacha20_poly1305, aes_128_gcm]).
-define(GROUPS, [x25519, secp256r1, secp384r1]).

-type settings() :: #{certfile := file:filename_all() | undefined,     % undefined: ejabberd's own
                      cafile := file:filename_all() | undefined}.      % undefined: ECMs need no certificate

%% @doc Does the handshake on an accepted connection, within 10 seconds. The calling process must own the socket, and owns the TLS socket
%% then. After an error the socket is closed, or closes with its owner.
-spec accept(gen_tcp:socket(), settings()) -> {ok, ssl:sslsocket()} | {error, Why :: iodata()}.
accept(Socket, Settings) ->
    case options(Settings) of
        {ok, Options} ->
            case ssl:handshake(Socket, Options, ?HANDSHAKE_TIMEOUT) of
                {ok, TlsSocket} -> {ok, TlsSocket};
                {error, Reason} -> {error, describe(Reason)}
            end;
        {error, Why} ->
            {error, Why}
    end.

%% @doc Whether the files exist and contain what they are for.
-spec check(settings()) -> ok | {error, Why :: iodata()}.
check(Settings) ->
    case options(Settings) of
        {ok, _} -> ok;
        Error -> Error
    end.

%% @doc Whether `Data' is the beginning of a TLS handshake.
-spec is_hello(Data :: binary()) -> boolean().
is_hello(<<22, 3, _/binary>>) -> true;
is_hello(_) -> false.

%%% Options of ssl.

options(#{certfile := Certfile, cafile := Cafile}) ->
    try own(Certfile) ++ others(Cafile) ++ fixed() of
        Options -> {ok, Options}
    catch
        throw:Why -> {error, Why}
    end.

fixed() ->
    Suites = ssl:cipher_suites(exclusive, 'tlsv1.3')
        ++ ssl:filter_cipher_suites(ssl:cipher_suites(default, 'tlsv1.2'),
                                    [{key_exchange, fun(Kind) -> lists:member(Kind, [ecdhe_ecdsa, ecdhe_rsa]) end}]),
    [{versions, ['tlsv1.3', 'tlsv1.2']},
     {ciphers, ssl:filter_cipher_suites(Suites, [{cipher, fun(Cipher) -> lists:member(Cipher, ?CIPHERS) end}])},
     {supported_groups, ?GROUPS},
     {eccs, ?GROUPS},                            % the same for TLS 1.2
     {honor_cipher_order, true},
     {client_renegotiation, false},
     {reuse_sessions, false},                    % certificates are checked each time
     {log_level, none}].                         % the caller logs failures, once

own(undefined) ->
    case ejabberd_pkix:get_certfile(ejabberd_config:get_myname()) of
        {ok, File} -> own(File);
        error -> throw("there is no certificate: the listener has no certfile, and ejabberd none of its own (certfiles)")
    end;
own(File) ->
    Entries = read(File),
    Keys = [{Type, Der} || {Type, Der, not_encrypted} <- Entries,
                           lists:member(Type, ['PrivateKeyInfo', 'ECPrivateKey', 'RSAPrivateKey'])],
    case {certificates(Entries), Keys} of
        {[], _} -> throw([File, " has no certificate in it"]);
        {_, []} -> throw([File, " has no unencrypted key in it; it should be behind the certificates"]);
        {Certificates, [Key | _]} -> [{cert, Certificates}, {key, Key}]
    end.

others(undefined) ->
    [];
others(File) ->
    case certificates(read(File)) of
        [] -> throw([File, " has no certificate in it"]);
        Certificates ->
            Trusted = [public_key:pkix_decode_cert(Der, otp) || Der <- Certificates],
            [{verify, verify_peer}, {fail_if_no_peer_cert, true}, {cacerts, Certificates}, {verify_fun, {fun verify/3, Trusted}}]
    end.

%% As OTP does it, except that an ECM's own self-signed certificate may be in the file.
verify(Certificate, {bad_cert, selfsigned_peer} = Fault, Trusted) ->
    case lists:member(Certificate, Trusted) andalso public_key:pkix_path_validation(Certificate, [Certificate], []) of
        {ok, _} -> {valid, Trusted};
        _ -> {fail, Fault}
    end;
verify(_Certificate, {bad_cert, _} = Fault, _Trusted) -> {fail, Fault};
verify(_Certificate, {extension, _}, Trusted) -> {unknown, Trusted};
verify(_Certificate, _Valid, Trusted) -> {valid, Trusted}.

certificates(Entries) -> [Der || {'Certificate', Der, not_encrypted} <- Entries].

read(File) ->
    case file:read_file(File) of
        {ok, Text} ->
            try public_key:pem_decode(Text)
            catch error:_ -> throw([File, " is not a PEM file"])
            end;
        {error, Reason} ->
            throw([File, ": ", file:format_error(Reason)])
    end.

describe(timeout) -> "no TLS handshake within 10 seconds";
describe(closed) -> "it was closed during the TLS handshake";
describe({tls_alert, {_Name, Text}}) -> ["the TLS handshake failed: ", ejabberd_megaphone_text:sanitize(string:trim(Text))];
describe(Reason) -> ["the TLS handshake failed: ", ejabberd_megaphone_text:term(Reason)].
