%%% @doc TLS on links, by OTP's ssl: versions 1.2 and 1.3, with forward secrecy and authenticated encryption. The files are read for
%%% each link, which are few: what has been renewed is what the next link uses.
-module(ejabberd_megaphone_tls).

-export([accept/2, check/1, is_hello/1]).
-export_type([settings/0]).

%% ms in which the other end has to come to the end of the handshake.
-define(HANDSHAKE_TIMEOUT, 10000).

-define(CIPHERS, [aes_256_gcm, chacha20_poly1305, aes_128_gcm]).
-define(GROUPS, [x25519, secp256r1, secp384r1]).

-type settings() :: #{certfile := file:filename_all() | undefined,     % undefined: what ejabberd uses itself
                      cafile := file:filename_all() | undefined}.      % undefined: no certificate is wanted of an ECM

%% @doc Makes TLS of a connection that was accepted, within 10 seconds. The calling process, which owns the connection, owns what
%% comes of it; after an error it is closed, or left to end with its owner.
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

%% @doc Whether the files are there and have in them what they are for.
-spec check(settings()) -> ok | {error, Why :: iodata()}.
check(Settings) ->
    case options(Settings) of
        {ok, _} -> ok;
        Error -> Error
    end.

%% @doc Whether `Data' is what a client says first that wants TLS.
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
     {reuse_sessions, false},                    % a certificate is looked at each time
     {log_level, none}].                         % what becomes of a link is logged once, by the link

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
        {_, []} -> throw([File, " has no key in it that is not encrypted; it should be behind the certificates"]);
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

%% As OTP does it, but that an ECM's own certificate may be in the file: without an authority, it is the only one to trust.
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
            catch error:_ -> throw([File, " is no PEM file"])
            end;
        {error, Reason} ->
            throw([File, ": ", file:format_error(Reason)])
    end.

describe(timeout) -> "it came to no TLS within 10 seconds";
describe(closed) -> "it was closed before it came to TLS";
describe({tls_alert, {_Name, Text}}) -> ["it came to no TLS: ", ejabberd_megaphone_text:sanitize(string:trim(Text))];
describe(Reason) -> ["it came to no TLS: ", ejabberd_megaphone_text:term(Reason)].
