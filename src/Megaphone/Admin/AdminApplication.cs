using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Megaphone.Admin;

/// <summary>
/// The admin endpoint's HTTP application: <c>/healthz</c>, <c>/readyz</c> and <c>/metrics</c>, for GET and HEAD; over the operator's socket also
/// <c>/reload</c>, for POST.
/// </summary>
/// <param name="notReady">Why this process is not ready to serve clients; null when it is.</param>
/// <param name="outages">A line for each server that is out, though this process is ready.</param>
/// <param name="metrics">Writes the body of <c>/metrics</c>.</param>
/// <param name="reload">Orders a reload, and answers the waiter at its end.</param>
/// <param name="log">The log for failed requests.</param>
internal sealed class AdminApplication(
    Func<string?> notReady,
    Func<IEnumerable<string>> outages,
    PrometheusText metrics,
    Action<ReloadWaiter> reload,
    ILogger<AdminApplication> log) : IHttpApplication<HttpContext>
{
    private const string PlainText = "text/plain; charset=utf-8";

    /// <inheritdoc/>
    public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    /// <inheritdoc/>
    public void DisposeContext(HttpContext context, Exception? exception)
    {
        if (exception is not null and not OperationCanceledException)
            AdminLog.RequestFailed(log, exception);
    }

    /// <inheritdoc/>
    public Task ProcessRequestAsync(HttpContext context)
    {
        string? path = context.Request.Path.Value;
        if (path is "/reload" && context.Features.Get<IConnectionSocketFeature>()?.Socket is { AddressFamily: AddressFamily.Unix } connection)
            return ReloadAsync(context, connection);
        if (path is not ("/healthz" or "/readyz" or "/metrics"))
            return RespondAsync(context, StatusCodes.Status404NotFound, "There are /healthz, /readyz and /metrics.\n");

        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.Headers.Allow = "GET, HEAD";
            return RespondAsync(context, StatusCodes.Status405MethodNotAllowed, "Only GET and HEAD.\n");
        }

        return path switch
        {
            "/metrics" => RespondAsync(context, StatusCodes.Status200OK, metrics.Write(), PrometheusText.ContentType),
            "/readyz" when notReady() is { } reason => RespondAsync(context, StatusCodes.Status503ServiceUnavailable, $"{reason}\n"),
            "/readyz" => RespondAsync(context, StatusCodes.Status200OK, string.Concat(outages().Prepend("ready").Select(line => $"{line}\n"))),
            _ => RespondAsync(context, StatusCodes.Status200OK, "ok\n"),
        };
    }

    private async Task ReloadAsync(HttpContext context, Socket connection)
    {
        if (!HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.Headers.Allow = "POST";
            await RespondAsync(context, StatusCodes.Status405MethodNotAllowed, "Only POST.\n");
            return;
        }

        ReloadWaiter waiter = new(connection);
        reload(waiter);
        ReloadOutcome outcome = await waiter.Outcome;
        await RespondAsync(context, outcome.Status, outcome.ToJson(), "application/json");
    }

    private static Task RespondAsync(HttpContext context, int status, string text, string contentType = PlainText) =>
        RespondAsync(context, status, Encoding.UTF8.GetBytes(text), contentType);

    private static Task RespondAsync(HttpContext context, int status, byte[] body, string contentType)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        // Probes need the current state.
        context.Response.Headers.CacheControl = "no-store";
        return HttpMethods.IsHead(context.Request.Method)
            ? Task.CompletedTask
            : context.Response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }
}
