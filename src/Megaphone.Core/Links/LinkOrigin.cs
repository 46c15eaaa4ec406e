namespace Megaphone.Links;

/// <summary>Which end connected, which decides who sends what first.</summary>
internal enum LinkOrigin
{
    /// <summary>Accepted here: the other side's first packet decides whether the link has control.</summary>
    Accepted,

    /// <summary>Connected from here: <c>hello</c> is sent, and <c>welcome</c> or <c>refuse</c> must be the answer.</summary>
    Connected,

    /// <summary>Connected from here for the plain protocol: the link is up at once, without control.</summary>
    ConnectedPlain,
}
