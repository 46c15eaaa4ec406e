%%% The listener's options.
-module(options_tests).

-include_lib("eunit/include/eunit.hrl").

%% ejabberd takes an exception here for an option that it should know itself.
every_option_of_our_own_has_a_type_that_its_default_is_of_test_() ->
    [{atom_to_list(Name), ?_assertEqual(Value, (ejabberd_megaphone:listen_opt_type(Name))(Written))}
     || {Name, Written, Value} <- [{framing, stanza, stanza}, {secret, <<>>, <<>>}, {allow_open_listener, false, false},
                                   {keep_alive, 15, 15000}, {max_packet, 1048576, 1048576}, {hibernate_after, 10, 10000},
                                   {compact, true, true}, {close_rate, 5000, 5000}, {buffer_total, 268435456, 268435456}]].

every_default_is_in_the_list_of_options_test_() ->
    [{atom_to_list(Name), ?_assertEqual({Name, Value}, lists:keyfind(Name, 1, ejabberd_megaphone:listen_options()))}
     || {Name, Value} <- [{framing, stanza}, {secret, <<>>}, {allow_open_listener, false}, {keep_alive, 15000},
                          {max_packet, 1048576}, {hibernate_after, 10000}, {compact, true}, {close_rate, 5000},
                          {buffer_total, 268435456}, {backlog, 1024}]].
