%%% What ejabberd is given to bind a login to, and by which versions.
-module(binding_tests).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").

-define(STATE, #{stream_encrypted => false, user => <<>>}).

a_session_has_all_channel_bindings_of_its_client_and_counts_as_encrypted_test() ->
    Bindings = #{<<"tls-exporter">> => <<1>>, <<"tls-server-end-point">> => <<2>>},
    Options = [{max_stanza_size, 1000} | ejabberd_megaphone_binding:options(#client{transport = tls, bindings = Bindings})],
    ?assertEqual({ok, #{stream_encrypted => true, sasl_channel_bindings => Bindings, user => <<>>}},
                 ejabberd_megaphone_binding:c2s_init({ok, ?STATE}, Options)).

%% Encrypted with an empty set would offer mechanisms that can only fail.
a_session_without_any_is_left_as_it_is_test_() ->
    [?_assertEqual({ok, ?STATE}, ejabberd_megaphone_binding:c2s_init({ok, ?STATE}, Options))
     || Options <- [ejabberd_megaphone_binding:options(#client{transport = tls}), [inet6, {tls, true}, {access, c2s}]]].

what_another_hook_has_decided_stands_test_() ->
    Options = ejabberd_megaphone_binding:options(#client{bindings = #{<<"tls-unique">> => <<1>>}}),
    [?_assertEqual(Decision, ejabberd_megaphone_binding:c2s_init(Decision, Options)) || Decision <- [ignore, {error, full}]].

ejabberd_takes_them_from_24_12_on_test_() ->
    [?_assertEqual(Expected, ejabberd_megaphone_binding:is_possible_with(Version))
     || {Expected, Version} <- [{false, "23.01-1"}, {false, "23.10"}, {false, "24.02"}, {false, "24.10.1"}, {false, "24.2.0"}, {false, "unknown"},
                                {false, ""}, {true, "24.12"}, {true, "24.12-3"}, {true, "24.12.0"}, {true, "24.12-26+gabcdef"},
                                {true, "25.03"}, {true, "26.07-1"}, {true, "26.7.0"}, {true, "26.07"}]].
