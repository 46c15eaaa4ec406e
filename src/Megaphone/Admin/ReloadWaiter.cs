using System.Net.Sockets;
using System.Text;
using Megaphone.Interop;

namespace Megaphone.Admin;

/// <summary>An operator who waits for the end of a reload over a connection, which goes along to the process's next image: that one answers if it
/// takes over.</summary>
internal sealed unsafe class ReloadWaiter
{
    private readonly TaskCompletionSource<ReloadOutcome>? _request;

    /// <summary>Of a request that Kestrel serves.</summary>
    /// <param name="connection">Kestrel's connection, of which a descriptor more is held.</param>
    public ReloadWaiter(Socket connection)
    {
        Descriptor = Libc.ControlDescriptor((int)connection.Handle, Libc.DuplicateCloseOnExec, 0);
        _request = new TaskCompletionSource<ReloadOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Of a request that the process's last image has left.</summary>
    public ReloadWaiter(int descriptor) => Descriptor = descriptor;

    /// <summary>The connection; below 0: there was no descriptor for it, and no other image can answer.</summary>
    public int Descriptor { get; }

    /// <summary>How the reload came out, for whoever serves the request.</summary>
    public Task<ReloadOutcome> Outcome => _request!.Task;

    /// <summary>Answers. Once.</summary>
    public void Tell(ReloadOutcome outcome)
    {
        if (_request is not null) _request.SetResult(outcome);
        else Send(outcome);
        if (Descriptor >= 0) _ = Libc.Close(Descriptor);
    }

    /// <summary>Sends the whole response: it is short, and nothing was sent before it.</summary>
    private void Send(ReloadOutcome outcome)
    {
        byte[] body = outcome.ToJson();
        byte[] head = Encoding.ASCII.GetBytes(
            $"HTTP/1.1 {outcome.Status} OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n");
        byte[] response = [.. head, .. body];
        fixed (byte* bytes = response) _ = Libc.Write(Descriptor, bytes, (nuint)response.Length);
    }
}
