using System.Net;
using System.Net.Sockets;
using Megaphone.Configuration;
using Megaphone.Links;
using Megaphone.Reactor;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Megaphone.Admin;

/// <summary>The admin endpoint: Kestrel with one application.</summary>
/// <remarks>
/// Only the server, without a web host: three fixed paths need no routing, no middleware and no services,
/// and without those the process starts sooner and stays smaller. Its limits are low: it serves a few scrapers. At the limit a new
/// connection evicts another (<see cref="EvictionQueue{T}"/>), so that silent ones keep nobody out.
/// </remarks>
internal sealed class AdminEndpoint : IDisposable
{
    private readonly AdminApplication _application;
    private readonly EvictionQueue<ConnectionContext> _connections = new();
    private readonly KestrelServer _server;
    private readonly AdminOptions _options;
    private readonly Socket? _operators;
    private Socket? _socket;

    /// <summary>Makes an endpoint that does not listen yet.</summary>
    /// <param name="options">Its settings.</param>
    /// <param name="application">Answers requests.</param>
    /// <param name="loggers">Makes Kestrel's loggers.</param>
    /// <param name="operators">The operator's socket, bound, which is owned from here on; null: there is none.</param>
    /// <param name="inherited">A socket that listens on the address already, which is owned from here on; below 0: none.</param>
    public AdminEndpoint(
        AdminOptions options, AdminApplication application, ILoggerFactory loggers, Socket? operators = null, int inherited = -1)
    {
        _application = application;
        _options = options;
        _operators = operators;

        KestrelServerOptions server = new() { AddServerHeader = false };
        server.Limits.MaxRequestBodySize = 1024;
        server.Limits.MaxRequestHeadersTotalSize = 8 * 1024;
        server.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(5);
        server.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(5);
        server.Listen(options.Listen, listener =>
        {
            listener.Protocols = HttpProtocols.Http1;
            listener.Use(next => connection => ServeAsync(connection, next));
        });
        if (operators is not null) server.ListenUnixSocket(options.Socket!, listener => listener.Protocols = HttpProtocols.Http1);

        SocketTransportFactory transport = new(
            Options.Create(new SocketTransportOptions
            {
                IOQueueCount = 1,
                CreateBoundListenSocket = endPoint => endPoint is UnixDomainSocketEndPoint
                    ? operators!
                    : _socket = inherited < 0 ? SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint) : NativeSocket.Adopt(inherited),
            }),
            loggers);
        _server = new KestrelServer(Options.Create(server), transport, loggers);
    }

    /// <summary>Its address with the real port; only after <see cref="StartAsync"/>.</summary>
    public IPEndPoint Listening => new(_options.Listen.Address, ((IPEndPoint)_socket!.LocalEndPoint!).Port);

    /// <summary>What it listens on; only after <see cref="StartAsync"/>.</summary>
    public AdminSockets Sockets =>
        new(_options.Listen, Listening, (int)_socket!.Handle, _options.Socket, _operators is null ? -1 : (int)_operators.Handle);

    /// <summary>Binds and starts to serve.</summary>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public Task StartAsync(CancellationToken cancellation) => _server.StartAsync(_application, cancellation);

    /// <summary>Stops listening, lets requests finish until the deadline, then closes the remaining connections.</summary>
    public Task StopAsync(CancellationToken deadline)
    {
        if (_operators is not null) OperatorSocket.Remove(_options.Socket!);
        return _server.StopAsync(deadline);
    }

    /// <inheritdoc/>
    public void Dispose() => _server.Dispose();

    private async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        _connections.Add(connection, PeerAddress.Of(connection.RemoteEndPoint));
        if (_connections.Count > AdminOptions.MaxConnections && _connections.TryEvict(out ConnectionContext? another))
            another.Abort(new ConnectionAbortedException("evicted by another connection"));
        try
        {
            await next(connection);
        }
        finally
        {
            _connections.Remove(connection);
        }
    }
}
