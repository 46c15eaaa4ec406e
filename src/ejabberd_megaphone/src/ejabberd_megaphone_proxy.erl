%%% @doc The header of the PROXY protocol, versions 1 and 2, at the head of a session's first packet (section 3 of the link
%%% protocol), as HAProxy's proxy-protocol.txt defines them. No processes, no I/O.
-module(ejabberd_megaphone_proxy).

-export([client/2, parse/1, transport/1, bindings/1, uses_tls/1, is_websocket/1]).
-export_type([policy/0]).

-include("ejabberd_megaphone.hrl").

%% PP2_TYPE_SSL, and the flag PP2_CLIENT_SSL in its first byte.
-define(TYPE_TLS, 16#20).
-define(CLIENT_USES_TLS, 1).
%% How the client came, beside TLS: of the types that the specification leaves to others (link protocol, section 3).
-define(TYPE_KIND, 16#E0).
-define(KIND_WEBSOCKET, 1).
%% Channel bindings, likewise.
-define(TYPE_EXPORTER, 16#E1).
-define(TYPE_SERVER_END_POINT, 16#E2).
-define(TYPE_UNIQUE, 16#E3).

%% The longest header of version 1, in bytes, including its line end.
-define(V1_MAX, 107).
-define(V2_SIGNATURE, "\r\n\r\n\0\r\nQUIT\n").

-type policy() :: required | optional | forbidden.

%% @doc The client as the header at the head of its session's first packet tells of it, and the rest of that packet. Where a header is
%% `required' it must name the client, as an ECM that sends headers knows its clients. Where it is `forbidden' there must be none of any
%% kind: the ECM sends none, so that it would be the client's own word.
-spec client(Data :: binary(), policy()) ->
          {ok, #client{}, Rest :: binary()}
        | {error, Why :: string()}.
client(Data, Policy) ->
    case parse(Data) of
        none when Policy =:= required -> {error, "it begins with no PROXY header (proxy_header: required)"};
        none -> {ok, #client{}, Data};
        _ when Policy =:= forbidden -> {error, "it begins with a PROXY header (proxy_header: forbidden)"};
        {ok, unknown, _} when Policy =:= required -> {error, "its PROXY header names no client (proxy_header: required)"};
        {ok, Addresses, Rest} -> {ok, #client{addresses = Addresses, transport = transport(Data), bindings = bindings(Data)}, Rest};
        {error, Why} -> {error, "it begins with " ++ Why}
    end.

%% @doc Takes a PROXY header off the head of `Data'. The addresses are `{SockName, PeerName}': the one that the client connected to, and the
%% client's. `unknown': the header does not name the client (UNKNOWN, LOCAL, or a family without ports). `none': there is no header, which is
%% certain because no XMPP stream begins like one.
-spec parse(Data :: binary()) ->
          none
        | {ok, {endpoint(), endpoint()} | unknown, Rest :: binary()}
        | {error, Why :: string()}.
parse(<<"PROXY ", _/binary>> = Data) ->
    case binary:match(Data, <<"\r\n">>, [{scope, {0, min(byte_size(Data), ?V1_MAX)}}]) of
        {At, 2} ->
            <<Line:At/binary, "\r\n", Rest/binary>> = Data,
            case parse_line(binary:split(Line, <<" ">>, [global])) of
                error -> {error, "a malformed PROXY header of version 1"};
                Addresses -> {ok, Addresses, Rest}
            end;
        nomatch ->
            {error, "a PROXY header of version 1 without a line end"}
    end;
parse(<<?V2_SIGNATURE, 2:4, Command:4, Family:4, _Transport:4, Size:16, Block:Size/binary, Rest/binary>>)
  when Command =< 1 ->
    case parse_block(Command, Family, Block) of
        error -> {error, "a PROXY header of version 2 that is too short for its address family"};
        Addresses -> {ok, Addresses, Rest}
    end;
parse(<<?V2_SIGNATURE, _/binary>>) ->
    {error, "a malformed PROXY header of version 2"};
parse(_Data) ->
    none.

%% @doc The client's transport to its ECM: TCP without TLS, as far as a header of version 2 at the head of `Data' says nothing else.
-spec transport(Data :: binary()) -> transport().
transport(Data) -> transport_of(fields(Data), tcp).

transport_of(<<?TYPE_TLS, Size:16, Value:Size/binary, Rest/binary>>, Transport) ->
    transport_of(Rest, case Value of
                           <<Client, _/binary>> when Client band ?CLIENT_USES_TLS =/= 0 -> with_tls(Transport);
                           _ -> Transport
                       end);
transport_of(<<?TYPE_KIND, 1:16, ?KIND_WEBSOCKET, Rest/binary>>, Transport) ->
    transport_of(Rest, over_websocket(Transport));
transport_of(<<_Type, Size:16, _:Size/binary, Rest/binary>>, Transport) ->
    transport_of(Rest, Transport);
transport_of(_Fields, Transport) ->
    Transport.

%% @doc The channel bindings in it, by their names in SASL. They are copies, which do not keep alive all that has arrived with them. They are
%% for TLS over TCP: of others there are none.
-spec bindings(Data :: binary()) -> #{binary() => binary()}.
bindings(Data) ->
    case transport(Data) of
        tls -> bindings_of(fields(Data));
        _ -> #{}
    end.

bindings_of(<<Type, Size:16, Value:Size/binary, Rest/binary>>) ->
    Others = bindings_of(Rest),
    case binding(Type) of
        Name when is_binary(Name), Size > 0 -> Others#{Name => binary:copy(Value)};
        _ -> Others
    end;
bindings_of(_Fields) ->
    #{}.

binding(?TYPE_EXPORTER) -> <<"tls-exporter">>;
binding(?TYPE_SERVER_END_POINT) -> <<"tls-server-end-point">>;
binding(?TYPE_UNIQUE) -> <<"tls-unique">>;
binding(_Type) -> none.

%% The fields behind the addresses.
fields(<<?V2_SIGNATURE, 2:4, 1:4, Family:4, _Transport:4, Size:16, Block:Size/binary, _/binary>>) ->
    case {Family, Block} of
        {1, <<_:12/binary, Fields/binary>>} -> Fields;
        {2, <<_:36/binary, Fields/binary>>} -> Fields;
        _ -> <<>>
    end;
fields(_Data) ->
    <<>>.

with_tls(Transport) -> case is_websocket(Transport) of true -> wss; false -> tls end.

over_websocket(Transport) -> case uses_tls(Transport) of true -> wss; false -> ws end.

%% @doc Whether there is TLS between the client and its ECM, or a proxy in front of that.
-spec uses_tls(transport()) -> boolean().
uses_tls(Transport) -> Transport =:= tls orelse Transport =:= wss.

%% @doc Whether the client speaks WebSocket.
-spec is_websocket(transport()) -> boolean().
is_websocket(Transport) -> Transport =:= ws orelse Transport =:= wss.

parse_line([<<"PROXY">>, <<"UNKNOWN">> | _]) ->
    unknown;
parse_line([<<"PROXY">>, Family, Client, Server, ClientPort, ServerPort]) ->
    case {address(Family, Client), port(ClientPort), address(Family, Server), port(ServerPort)} of
        {{ok, A}, {ok, P}, {ok, B}, {ok, Q}} -> {{B, Q}, {A, P}};
        _ -> error
    end;
parse_line(_) ->
    error.

address(<<"TCP4">>, Text) -> address(fun inet:parse_ipv4strict_address/1, "0123456789.", binary_to_list(Text));
address(<<"TCP6">>, Text) -> address(fun inet:parse_ipv6strict_address/1, "0123456789abcdefABCDEF:.", binary_to_list(Text));
address(_, _) -> error.

%% inet also reads signs, and a scope, which means nothing on another machine.
address(Parse, Allowed, Text) ->
    case lists:all(fun(Character) -> lists:member(Character, Allowed) end, Text) of
        true -> Parse(Text);
        false -> error
    end.

port(Text) ->
    try binary_to_integer(Text) of
        Port when Port >= 0, Port =< 65535 ->
            %% binary_to_integer also reads signs and leading zeros, which the specification does not allow.
            case integer_to_binary(Port) of
                Text -> {ok, Port};
                _ -> error
            end;
        _ -> error
    catch
        error:badarg -> error
    end.

parse_block(0, _Family, _Block) ->
    unknown;
parse_block(1, 1, <<A:4/binary, B:4/binary, P:16, Q:16, _/binary>>) ->
    {{list_to_tuple(binary_to_list(B)), Q}, {list_to_tuple(binary_to_list(A)), P}};
parse_block(1, 2, <<A:16/binary, B:16/binary, P:16, Q:16, _/binary>>) ->
    {{words(B), Q}, {words(A), P}};
parse_block(1, Family, _Block) when Family =:= 1; Family =:= 2 ->
    error;
parse_block(1, _Family, _Block) ->
    unknown.

words(Address) -> list_to_tuple([Word || <<Word:16>> <= Address]).
