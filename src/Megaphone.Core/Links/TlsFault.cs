using System.Net.Sockets;

namespace Megaphone.Links;

/// <summary>What went wrong with a link's TLS, in words.</summary>
internal static class TlsFault
{
    /// <summary>Says it: the alert that the other end sent, if it sent one.</summary>
    public static string Describe(Exception error)
    {
        while (error.InnerException is { } inner) error = inner;
        if (error is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted }) return "closed";

        // OpenSSL's own words, which are the ones to search for: "error:0A000412:SSL routines::sslv3 alert bad certificate".
        string text = error.Message[(error.Message.LastIndexOf("::", StringComparison.Ordinal) is var colons and >= 0 ? colons + 2 : 0)..];
        int alert = text.IndexOf("alert ", StringComparison.Ordinal);
        return alert >= 0 ? $"the other end refused with the TLS alert \"{text[(alert + "alert ".Length)..]}\"" : text;
    }
}
