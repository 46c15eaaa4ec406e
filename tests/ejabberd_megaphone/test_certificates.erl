%%% Certificates for tests, as PEM files in a temporary folder.
-module(test_certificates).

-export([with/1, file/2]).

%% @doc Calls `Test' with the folder and with options of ssl for ECMs. Files for the listener are `server' (certificate, chain and key), `ecms'
%% (the authority of ECMs), and some that are wrong. The ECMs have a certificate of the right authority (`ecm'), of another one
%% (`stranger'), none (`nobody'), or a self-signed one: `alone', which is in the file `ecms', `expired', which is in it, too, and
%% `unknown', which is not.
with(Test) ->
    Folder = string:trim(os:cmd("mktemp -d")),
    #{server_config := Server, client_config := Ecm} = chains(),
    #{client_config := Stranger} = chains(),
    Trusts = {cacerts, proplists:get_value(cacerts, Ecm)},
    Common = [Trusts, {verify, verify_peer}, {server_name_indication, disable}, binary, {active, false}],
    write(Folder, server, [{'Certificate', proplists:get_value(cert, Server)} | authorities(Ecm)] ++ [proplists:get_value(key, Server)]),
    {Alone, Expired, Unknown} = {alone([]), alone([{validity, {{2020, 1, 1}, {2021, 1, 1}}}]), alone([])},
    write(Folder, ecms, authorities(Server) ++ [{'Certificate', proplists:get_value(cert, Config)} || Config <- [Alone, Expired]]),
    write(Folder, keyless, [{'Certificate', proplists:get_value(cert, Server)}]),
    ok = file:write_file(file(Folder, garbage), <<"garbage">>),
    Options = fun(Config) -> [{cert, proplists:get_value(cert, Config)}, {key, proplists:get_value(key, Config)} | Common] end,
    try Test(#{folder => Folder, ecm => Options(Ecm), stranger => Options(Stranger), nobody => Common,
                alone => Options(Alone), expired => Options(Expired), unknown => Options(Unknown)})
    after file:del_dir_r(Folder)
    end.

%% @doc The name of one of the files.
file(Folder, Name) -> filename:join(Folder, atom_to_list(Name) ++ ".pem").

chains() ->
    Chain = #{root => options(), intermediates => [], peer => options()},
    public_key:pkix_test_data(#{server_chain => Chain, client_chain => Chain}).

%% A self-signed certificate.
alone(More) ->
    #{cert := Der, key := Key} = public_key:pkix_test_root_cert("An ECM", options() ++ More),
    [{cert, Der}, {key, {'ECPrivateKey', public_key:der_encode('ECPrivateKey', Key)}}].

%% Without the digest it would be SHA-1, which newer OTPs do not accept.
options() -> [{key, {namedCurve, secp256r1}}, {digest, sha256}].

%% The authorities by which the other end trusts this configuration's certificate: they are in the other's configuration.
authorities(OfTheOther) -> [{'Certificate', Der} || Der <- proplists:get_value(cacerts, OfTheOther)].

write(Folder, Name, Entries) ->
    Pem = public_key:pem_encode([{Type, Der, not_encrypted} || {Type, Der} <- Entries]),
    ok = file:write_file(file(Folder, Name), Pem).
