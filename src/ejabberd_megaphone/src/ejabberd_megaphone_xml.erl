%%% @doc Turns the packets of a session into the events that ejabberd's XML parser would have yielded for the same bytes, and output into
%%% bytes. One packet is one complete piece of the client's stream (link protocol, section 4, framing "stanza"), so that no parser state
%%% has to be kept between packets. No processes, no I/O.
-module(ejabberd_megaphone_xml).

-export([events/2, encode/1, encode_alone/1]).
-export_type([event/0]).

-include_lib("fast_xml/include/fxml.hrl").

-type event() :: {xmlstreamstart, binary(), [{binary(), binary()}]}
               | {xmlstreamelement, #xmlel{}}
               | {xmlstreamend, binary()}
               | {xmlstreamerror, binary() | {integer(), binary()}}.

-define(NS_CLIENT, <<"jabber:client">>).
-define(NS_STREAM, "http://etherx.jabber.org/streams").
%% Expat's error codes, which ejabberd passes on and turns into not-well-formed.
-define(XML_ERROR_NO_ELEMENTS, 3).
-define(XML_ERROR_INVALID_TOKEN, 4).
-define(XML_ERROR_UNBOUND_PREFIX, 27).
-define(IS_SPACE(Byte), (Byte =:= $\s orelse Byte =:= $\n orelse Byte =:= $\r orelse Byte =:= $\t)).

%% @doc The events of a packet: one, as a rule; none for white space, which means nothing between stanzas. A packet that is not exactly one
%% complete piece yields an `xmlstreamerror', to which ejabberd responds as in RFC 6120, section 4.9, and ends the stream.
%% `WantsHeader': a stream header is due, so that one with another prefix is recognised, and nothing else is accepted.
-spec events(Packet :: binary(), WantsHeader :: boolean()) -> [event()].
events(<<"<stream:stream", _/binary>> = Packet, _WantsHeader) ->
    header(Packet);
events(<<"<?xml", Rest/binary>>, WantsHeader) ->
    case binary:split(Rest, <<"?>">>) of
        [_Declaration, Packet] -> events(skip_space(Packet), WantsHeader);
        [_] -> not_well_formed(<<"unclosed XML declaration">>)
    end;
events(<<"</stream:stream", Rest/binary>>, _WantsHeader) ->
    case skip_space(Rest) of
        <<">", Junk/binary>> ->
            case skip_space(Junk) of
                <<>> -> [stream_end()];
                _ -> not_well_formed(<<"junk after document element">>)
            end;
        _ ->
            not_well_formed(<<"mismatched tag">>)
    end;
events(<<Space, Rest/binary>>, WantsHeader) when ?IS_SPACE(Space) ->
    events(skip_space(Rest), WantsHeader);
events(<<>>, _WantsHeader) ->
    [];
events(Packet, WantsHeader) ->
    case fxml_stream:parse_element(Packet) of
        %% ejabberd would refuse it, too, and log all of it, however long it is.
        #xmlel{} when WantsHeader -> not_well_formed(<<"a stream header is due">>);
        #xmlel{} = Element -> [{xmlstreamelement, Element}];
        {error, {?XML_ERROR_NO_ELEMENTS, _}} when WantsHeader -> header(Packet);
        {error, {?XML_ERROR_UNBOUND_PREFIX, _} = Error} when not WantsHeader -> within_stream(Packet, Error);
        {error, Error} -> xml_error(Error)
    end.

%% A header is a start tag, which becomes a complete element when its last `>' is replaced by `/>'. One that ends in `/>' already is header
%% and closing tag at once.
header(Packet) ->
    Trimmed = trim_end(Packet),
    case binary:longest_common_suffix([Trimmed, <<"/>">>]) of
        2 -> start(Trimmed, [stream_end()]);
        1 -> start(<<(binary:part(Trimmed, 0, byte_size(Trimmed) - 1))/binary, "/>">>, []);
        0 -> not_well_formed(<<"unclosed token">>)
    end.

start(Element, Then) ->
    case fxml_stream:parse_element(Element) of
        #xmlel{name = Name, attrs = Attributes, children = []} -> [{xmlstreamstart, Name, Attributes} | Then];
        #xmlel{} -> not_well_formed(<<"more than a stream header">>);
        {error, Error} -> xml_error(Error)
    end.

%% A stanza may use the prefix that the stream header has declared, as `stream:error' does. It is parsed again inside an element that
%% declares the prefix, and must be all there is in that element: what closes that element early leaves junk behind it.
within_stream(Packet, Error) ->
    case fxml_stream:parse_element(<<"<s xmlns:stream='", ?NS_STREAM, "'>", Packet/binary, "</s>">>) of
        #xmlel{children = Children} ->
            case [Child || Child <- Children, not is_space(Child)] of
                [#xmlel{} = Element] -> [{xmlstreamelement, Element}];
                _ -> xml_error(Error)
            end;
        _ ->
            xml_error(Error)
    end.

is_space({xmlcdata, Text}) -> skip_space(Text) =:= <<>>;
is_space(#xmlel{}) -> false.

stream_end() -> {xmlstreamend, <<"stream:stream">>}.

xml_error({Code, Text}) when is_binary(Text) -> [{xmlstreamerror, {Code, Text}}];
xml_error(Reason) -> not_well_formed(ejabberd_megaphone_text:term(Reason)).

not_well_formed(Text) -> [{xmlstreamerror, {?XML_ERROR_INVALID_TOKEN, Text}}].

skip_space(<<Space, Rest/binary>>) when ?IS_SPACE(Space) -> skip_space(Rest);
skip_space(Rest) -> Rest.

%% Of bytes, not characters: the packet may not be UTF-8, which is for the parser to find out.
trim_end(Packet) ->
    Size = byte_size(Packet) - 1,
    case Packet of
        <<Rest:Size/binary, Space>> when ?IS_SPACE(Space) -> trim_end(Rest);
        _ -> Packet
    end.

%% @doc The bytes for the client that stand for an argument of `send_xml/2'.
-spec encode(xmpp_socket:stream_element()) -> iodata().
encode({xmlstreamelement, Element}) -> fxml:element_to_binary(Element);
encode({xmlstreamstart, Name, Attributes}) -> fxml:element_to_header(#xmlel{name = Name, attrs = Attributes});
encode({xmlstreamend, Name}) -> [<<"</">>, Name, $>];
encode({xmlstreamraw, Data}) -> Data.

%% @doc The same for a client over WebSocket (link protocol, section 4): there an element is a message, and declares by itself what over TCP the
%% stream header has declared for it. Header and end stay what they are: the ECM makes `open' and `close' of them.
-spec encode_alone(xmpp_socket:stream_element()) -> iodata().
encode_alone({xmlstreamelement, #xmlel{name = Name, attrs = Attributes} = Element}) ->
    Declared = case Name of
                   <<"stream:", _/binary>> -> declare(<<"xmlns">>, ?NS_CLIENT, declare(<<"xmlns:stream">>, <<?NS_STREAM>>, Attributes));
                   _ -> declare(<<"xmlns">>, ?NS_CLIENT, Attributes)
               end,
    encode({xmlstreamelement, Element#xmlel{attrs = Declared}});
encode_alone(Other) ->
    encode(Other).

declare(Name, Namespace, Attributes) ->
    case lists:keymember(Name, 1, Attributes) of
        true -> Attributes;
        false -> [{Name, Namespace} | Attributes]
    end.
