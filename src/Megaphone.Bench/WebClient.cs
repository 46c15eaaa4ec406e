using Megaphone.Web;

namespace Megaphone.Bench;

/// <summary>What is kept for a client's WebSocket. Of the thread that receives for it.</summary>
internal struct WebClient
{
    /// <summary>What has arrived of the answer to its request; null: nothing, or all of it.</summary>
    public byte[]? Answer;

    /// <summary>The server's frames.</summary>
    public WebState Input;

    /// <summary>Whether the answer was the right one. Read by any thread.</summary>
    public bool IsUpgraded;
}
