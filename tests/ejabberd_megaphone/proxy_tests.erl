%%% PROXY headers at the head of a session, against HAProxy's proxy-protocol.txt.
-module(proxy_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-import(ejabberd_megaphone_proxy, [parse/1]).

-define(SIGNATURE, "\r\n\r\n\0\r\nQUIT\n").

version_1_over_ipv4_test() ->
    ?assertEqual({ok, {{{198, 51, 100, 1}, 5222}, {{192, 0, 2, 7}, 51234}}, <<"<a/>">>},
                 parse(<<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222\r\n<a/>">>)).

version_1_over_ipv6_test() ->
    ?assertEqual({ok, {{{0, 0, 0, 0, 0, 0, 0, 1}, 5222}, {{16#2001, 16#db8, 0, 0, 0, 0, 0, 7}, 1}}, <<>>},
                 parse(<<"PROXY TCP6 2001:db8::7 ::1 1 5222\r\n">>)).

an_unknown_client_is_no_error_test_() ->
    [?_assertEqual({ok, unknown, <<"x">>}, parse(Data))
     || Data <- [<<"PROXY UNKNOWN\r\nx">>,
                 <<"PROXY UNKNOWN ffff:f::f ffff::f 65535 65535\r\nx">>,
                 <<?SIGNATURE, 16#20, 0, 0, 0, "x">>,                % LOCAL
                 <<?SIGNATURE, 16#21, 0, 0, 0, "x">>,                % UNSPEC
                 <<?SIGNATURE, 16#21, 16#31, 0, 3, "abc", "x">>]].   % a socket in the file system

version_2_over_ipv4_test() ->
    ?assertEqual({ok, {{{198, 51, 100, 1}, 5222}, {{192, 0, 2, 7}, 51234}}, <<"rest">>},
                 parse(<<?SIGNATURE, 16#21, 16#11, 12:16, 192, 0, 2, 7, 198, 51, 100, 1, 51234:16, 5222:16, "rest">>)).

what_version_2_adds_is_skipped_test() ->
    ?assertEqual({ok, {{{198, 51, 100, 1}, 5222}, {{192, 0, 2, 7}, 51234}}, <<"rest">>},
                 parse(<<?SIGNATURE, 16#21, 16#11, 16:16, 192, 0, 2, 7, 198, 51, 100, 1, 51234:16, 5222:16,
                         4, 0, 1, 0, "rest">>)).

what_version_2_says_of_tls_is_the_transport_test_() ->
    Tls = <<16#20, 15:16, 1, 1:32, 16#21, 7:16, "TLSv1.3">>,
    Header = fun(Family, Addresses, Fields) ->
                     <<?SIGNATURE, 16#21, Family, (byte_size(Addresses) + byte_size(Fields)):16, Addresses/binary, Fields/binary, "rest">>
             end,
    V4 = <<0:96>>,
    [?_assertEqual(tls, ejabberd_megaphone_proxy:transport(Data))
     || Data <- [Header(16#11, V4, Tls),
                 Header(16#11, V4, <<1, 11:16, "xmpp-client", 2, 3:16, "a.b", Tls/binary>>),
                 Header(16#21, <<0:288>>, Tls)]]
    ++ [?_assertEqual(tcp, ejabberd_megaphone_proxy:transport(Data))
        || Data <- [Header(16#11, V4, <<>>),
                    Header(16#11, V4, <<16#20, 5:16, 0, 1:32>>),             % no PP2_CLIENT_SSL
                    Header(16#11, V4, <<16#20, 99:16, 1>>),                  % cut short
                    Header(16#11, V4, <<2, 18:16, Tls/binary>>),             % a name like that
                    <<?SIGNATURE, 16#20, 16#11, 18:16, Tls/binary>>,         % LOCAL
                    <<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222\r\n">>,
                    <<"<stream:stream>">>, <<>>]].

version_2_over_ipv6_test() ->
    ?assertEqual({ok, {{{0, 0, 0, 0, 0, 0, 0, 1}, 5222}, {{16#2001, 16#db8, 0, 0, 0, 0, 0, 7}, 1}}, <<>>},
                 parse(<<?SIGNATURE, 16#21, 16#21, 36:16, 16#20010db8:32, 0:64, 7:32, 1:128, 1:16, 5222:16>>)).

what_begins_like_a_header_and_is_none_is_an_error_test_() ->
    [?_assertMatch({error, _}, parse(Data))
     || Data <- [<<"PROXY ">>,
                 <<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222">>,
                 <<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 65536\r\n">>,
                 <<"PROXY TCP4 192.0.2 198.51.100.1 1 1\r\n">>,
                 <<"PROXY TCP6 192.0.2.7 198.51.100.1 1 1\r\n">>,
                 <<"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n">>,
                 <<"PROXY TCP9 192.0.2.7 198.51.100.1 1 1\r\n">>,
                 <<"PROXY ", (binary:copy(<<"x">>, 200))/binary, "\r\n">>,
                 <<?SIGNATURE>>,
                 <<?SIGNATURE, 16#11, 16#11, 0:16>>,                 % version 1 in binary
                 <<?SIGNATURE, 16#22, 16#11, 0:16>>,                 % no such command
                 <<?SIGNATURE, 16#21, 16#11, 11:16, 0:88>>,
                 <<?SIGNATURE, 16#21, 16#11, 12:16, 0:88>>]].

a_stream_header_is_none_test() ->
    ?assertEqual(none, parse(<<"<stream:stream to='localhost'>">>)).

nothing_makes_it_fail_test_() ->
    property:test(prop_total(), 500).

prop_total() ->
    ?FORALL({Head, Tail}, {oneof([<<>>, <<"PROXY ">>, <<"PROXY TCP4 ">>, <<?SIGNATURE>>, <<?SIGNATURE, 16#21>>]), binary()},
            case parse(<<Head/binary, Tail/binary>>) of
                none -> true;
                {ok, _, Rest} -> is_binary(Rest);
                {error, Why} -> is_list(Why)
            end).
