using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Megaphone.Operator;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Megaphone.Admin;

/// <summary>
/// The admin endpoint's HTTP application: the status page and <c>/status.json</c> behind it, <c>/healthz</c>, <c>/readyz</c> and
/// <c>/metrics</c>, for GET and HEAD; over the operator's socket also <see cref="OperatorRoutes"/>.
/// </summary>
/// <param name="notReady">Why this process is not ready to serve clients; null when it is.</param>
/// <param name="outages">A line for each server that is out, though this process is ready.</param>
/// <param name="metrics">Writes the body of <c>/metrics</c>.</param>
/// <param name="status">Says how the process is.</param>
/// <param name="operators">What there is over the operator's socket only.</param>
/// <param name="log">The log for failed requests.</param>
internal sealed class AdminApplication(
    Func<string?> notReady,
    Func<IEnumerable<string>> outages,
    PrometheusText metrics,
    StatusSource status,
    OperatorRoutes operators,
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
        if (OperatorRoutes.Has(path) && context.Features.Get<IConnectionSocketFeature>()?.Socket is { AddressFamily: AddressFamily.Unix } connection)
            return operators.ServeAsync(context, connection);
        if (path is not ("/" or "/status.json" or "/healthz" or "/readyz" or "/metrics"))
            return RespondAsync(context, StatusCodes.Status404NotFound, "There are /, /status.json, /healthz, /readyz and /metrics.\n");

        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.Headers.Allow = "GET, HEAD";
            return RespondAsync(context, StatusCodes.Status405MethodNotAllowed, "Only GET and HEAD.\n");
        }

        return path switch
        {
            "/" => RespondWithPageAsync(context),
            "/status.json" => RespondAsync(
                context, StatusCodes.Status200OK, JsonSerializer.SerializeToUtf8Bytes(status.Read(), OperatorJson.Default.StatusReport),
                "application/json"),
            "/metrics" => RespondAsync(context, StatusCodes.Status200OK, metrics.Write(), PrometheusText.ContentType),
            "/readyz" when notReady() is { } reason => RespondAsync(context, StatusCodes.Status503ServiceUnavailable, $"{reason}\n"),
            "/readyz" => RespondAsync(context, StatusCodes.Status200OK, string.Concat(outages().Prepend("ready").Select(line => $"{line}\n"))),
            _ => RespondAsync(context, StatusCodes.Status200OK, "ok\n"),
        };
    }

    private static Task RespondWithPageAsync(HttpContext context)
    {
        context.Response.Headers.ContentSecurityPolicy = StatusPage.ContentSecurityPolicy;
        context.Response.Headers.XContentTypeOptions = "nosniff";
        context.Response.Headers["Referrer-Policy"] = "no-referrer";
        return RespondAsync(context, StatusCodes.Status200OK, StatusPage.Html, "text/html; charset=utf-8");
    }

    private static Task RespondAsync(HttpContext context, int status, string text, string contentType = PlainText) =>
        RespondAsync(context, status, Encoding.UTF8.GetBytes(text), contentType);

    /// <summary>Answers a request.</summary>
    internal static Task RespondAsync(HttpContext context, int status, byte[] body, string contentType)
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
